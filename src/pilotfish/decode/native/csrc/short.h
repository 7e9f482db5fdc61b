/* Linears whose bfloat16 weights are held in 12 bits, without loss: a token reads a quarter less memory.
 *
 * The exponents of trained weights are much alike: a dozen values cover nearly all (2.6 bits of entropy, Zhang et al.,
 * arXiv 2504.11651, who code them for GPUs). Sixteen rows make a unit: a head with the exponents of 15 codes, then the
 * rows, by blocks of 64 weights: 64 bytes of sign and mantissa, and 32 bytes of codes (the first 32 weights' in the low
 * halves). Code 15 is the exponent 0; a weight whose exponent has no code (a miss) is a zero there, and stands in a list
 * of its own. Byte b of a block is weight ORDER(b), so that interleaving low and high bytes, which AVX-512 does in lanes
 * of 16, gives the weights in their own order.
 */
#ifndef PF_SHORT_H
#define PF_SHORT_H

#include "dot.h"

#define SHORT_ROWS 16
#define SHORT_BLOCK 96 /* bytes of 64 weights */
#define ORDER(b) ((b) % 16 < 8 ? (b) / 16 * 8 + (b) % 16 : 24 + (b) / 16 * 8 + (b) % 16)

typedef struct {
    uint8_t high[16], low[16]; /* of a code: the exponent's upper 7 bits, and its last bit as a byte's first */
    int64_t misses, first; /* how many, and which is the first in the list; of use while packing */
    char rest[16];
} ShortHead;

INLINE int64_t short_row(int64_t k) { return pad64(k) / 64 * SHORT_BLOCK; }
INLINE int64_t short_unit(int64_t k) { return (int64_t)sizeof(ShortHead) + SHORT_ROWS * short_row(k); }

#ifdef PF_AVX512
INLINE __m512i short_table(const uint8_t *table) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)table));
}

/* 64 weights in two registers. */
INLINE void short_open(const uint8_t *p, __m512i high, __m512i low, vu *a, vu *b) {
    const __m512i sign = _mm512_set1_epi8((char)0x80), shift = _mm512_set_epi64(4, 4, 4, 4, 0, 0, 0, 0);
    __m512i rest = _mm512_loadu_si512(p);
    __m512i codes = _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(p + 64)));
    codes = _mm512_and_si512(_mm512_srlv_epi64(codes, shift), _mm512_set1_epi8(15));
    __m512i upper = _mm512_ternarylogic_epi64(rest, sign, _mm512_shuffle_epi8(high, codes), 0xea); /* a & b | c */
    __m512i lower = _mm512_ternarylogic_epi64(rest, sign, _mm512_shuffle_epi8(low, codes), 0xba);  /* a & ~b | c */
    *a = (vu)_mm512_unpacklo_epi8(lower, upper);
    *b = (vu)_mm512_unpackhi_epi8(lower, upper);
}
#endif

/* `count` rows of a unit as bfloat16, each `k` rounded up to 64 long, fetching ahead what comes after them. */
static void short_rows(const uint8_t *unit, int64_t k, int64_t count, uint16_t *out) {
    const ShortHead *head = (const ShortHead *)unit;
    const uint8_t *p = unit + sizeof(ShortHead);
    int64_t blocks = count * (pad64(k) / 64);
    for (int64_t i = 0; i < blocks; i++, p += SHORT_BLOCK, out += 64) {
        __builtin_prefetch(p + 4096);
        __builtin_prefetch(p + 4096 + 64);
#ifdef PF_AVX512
        vu a, b;
        short_open(p, short_table(head->high), short_table(head->low), &a, &b);
        memcpy(out, &a, 64);
        memcpy(out + 32, &b, 64);
#else
        for (int b = 0; b < 64; b++) {
            int code = p[64 + b % 32] >> (b < 32 ? 0 : 4) & 15;
            out[ORDER(b)] = (uint16_t)(((p[b] & 0x80) | head->high[code]) << 8 | (p[b] & 0x7f) | head->low[code]);
        }
#endif
    }
}

INLINE const char *short_at(const Linear *l, int64_t row, int64_t bytes) {
    return (const char *)l->w + row / SHORT_ROWS * short_unit(l->k) + (int64_t)sizeof(ShortHead) +
           row % SHORT_ROWS * short_row(l->k) + bytes / 128 * SHORT_BLOCK;
}

#if defined(PF_AVX512) && defined(__AVX512BF16__)
#define SHORT_AT(row, k) short_at(l, row, k)
#define SHORT_BY(bytes) ((bytes) / 4 * 3)
#define SHORT_HEAD(row) ((const char *)l->w + (row) / SHORT_ROWS * short_unit(l->k))

/* As tile_bfloat16, sum for sum. Where opened weights of all rows leave it registers, activations are read once. */
TILE(few_short) {
    const ShortHead *head = (const ShortHead *)w[4];
    const __m512i high = short_table(head->high), low = short_table(head->low);
    TILE_BEGIN
    for (int64_t i = 0, j = 0; i < bytes; i += 128, j += SHORT_BLOCK) {
        vu a[4], b[4];
        if (n * (tokens + 2) <= 26) {
            DOT_ROW(n) {
                short_open((const uint8_t *)w[r] + j, high, low, &a[r], &b[r]);
                __builtin_prefetch(w[r] + j + ahead[r]);
                __builtin_prefetch(w[r] + j + ahead[r] + 64);
            }
            DOT_TOKEN {
                vu y = load_raw(x + t * ldx + i), z = load_raw(x + t * ldx + i + 64);
                DOT_ROW(n) sum[r][t] = mac_bfloat16(sum[r][t], a[r], y);
                DOT_ROW(n) sum[r][t] = mac_bfloat16(sum[r][t], b[r], z);
            }
        } else {
            DOT_ROW(n) {
                short_open((const uint8_t *)w[r] + j, high, low, &a[0], &b[0]);
                __builtin_prefetch(w[r] + j + ahead[r]);
                __builtin_prefetch(w[r] + j + ahead[r] + 64);
                DOT_TOKEN {
                    sum[r][t] = mac_bfloat16(sum[r][t], a[0], load_raw(x + t * ldx + i));
                    sum[r][t] = mac_bfloat16(sum[r][t], b[0], load_raw(x + t * ldx + i + 64));
                }
            }
        }
    }
    TILE_END
}

DOT_ROWS(few_short, pad64(l->k) * 2, 2, SHORT_AT, SHORT_BY, SHORT_HEAD)
#endif

/* Open a unit, and multiply as ever: for so many tokens that opening it once is what counts. */
static void many_short(const Linear *l, const Act *act, int64_t t0, int64_t m, float *y, int64_t ldy, int add,
                       int64_t from, int64_t to, char *room) {
    for (int64_t row = from; row < to; row += SHORT_ROWS) {
        int64_t count = to - row < SHORT_ROWS ? to - row : SHORT_ROWS;
        Linear open = {.w = room, .bias = l->bias ? l->bias + row : NULL, .n = count, .k = pad64(l->k)};
        short_rows((const uint8_t *)l->w + row / SHORT_ROWS * short_unit(l->k), l->k, count, (uint16_t *)room);
        rows_bfloat16(&open, act, t0, m, y + row, ldy, add, 0, count);
    }
}

/* Rows [from, to), `from` a multiple of 16, for tokens [t0, t0 + m); `room`: 16 rows of bfloat16. */
static void rows_short(const Linear *l, const Act *act, int64_t t0, int64_t m, float *y, int64_t ldy, int add,
                       int64_t from, int64_t to, char *room) {
#if defined(PF_AVX512) && defined(__AVX512BF16__)
    if (m <= DOT_WIDE) rows_few_short(l, act, t0, m, y, ldy, add, from, to);
    else
#endif
        many_short(l, act, t0, m, y, ldy, add, from, to, room);
    /* The first miss of these rows, by halves. */
    const uint16_t *x = (const uint16_t *)act->data;
    int64_t first = 0, end = l->miss_count;
    while (first < end) {
        int64_t middle = (first + end) / 2;
        if (l->misses[middle].row < from) first = middle + 1;
        else end = middle;
    }
    for (; first < l->miss_count && l->misses[first].row < to; first++) {
        Miss miss = l->misses[first];
        for (int64_t t = t0; t < t0 + m; t++)
            y[t * ldy + miss.row] += miss.weight * bf_float(x[t * act->stride + miss.column]);
    }
}

/* The 15 exponents other than 0 that most weights of a unit have, and how many of its weights have none of them. */
static void short_codes(const uint16_t *w, int64_t rows, int64_t k, ShortHead *head) {
    int64_t counts[256] = {0};
    memset(head, 0, sizeof *head);
    for (int64_t i = 0; i < rows * k; i++) counts[w[i] >> 7 & 255]++;
    counts[0] = -1;
    for (int code = 0; code < 15; code++) {
        int best = 1;
        for (int e = 2; e < 256; e++)
            if (counts[e] > counts[best]) best = e;
        head->high[code] = (uint8_t)(best >> 1);
        head->low[code] = (uint8_t)(best << 7);
        counts[best] = -1;
    }
    for (int e = 1; e < 256; e++) head->misses += counts[e] > 0 ? counts[e] : 0;
}

/* Write a unit's rows and misses; its head is there. */
static void short_fill(const uint16_t *w, int64_t row, int64_t rows, int64_t k, uint8_t *unit, Miss *miss) {
    const ShortHead *head = (const ShortHead *)unit;
    uint8_t code_of[256], *p = unit + sizeof *head;
    memset(code_of, 16, sizeof code_of);
    for (int code = 0; code < 16; code++) code_of[head->high[code] << 1 | head->low[code] >> 7] = (uint8_t)code;
    miss += head->first;
    for (int64_t r = 0; r < rows; r++, w += k)
        for (int64_t start = 0; start < pad64(k); start += 64, p += SHORT_BLOCK) {
            memset(p + 64, 0, 32);
            uint8_t codes[64];
            for (int i = 0; i < 64; i++) {
                /* Misses are listed in the order of their columns, which is not that of the bytes. */
                uint16_t v = start + i < k ? w[start + i] : 0;
                codes[i] = code_of[v >> 7 & 255];
                if (codes[i] == 16) *miss++ = (Miss){(int32_t)(row + r), (int32_t)(start + i), bf_float(v)};
            }
            for (int b = 0; b < 64; b++) {
                int i = ORDER(b), code = codes[i] == 16 ? 15 : codes[i];
                uint16_t v = start + i < k && codes[i] < 16 ? w[start + i] : 0;
                p[b] = (uint8_t)((v >> 8 & 0x80) | (v & 0x7f));
                p[64 + b % 32] |= (uint8_t)(b < 32 ? code : code << 4);
            }
        }
}

#endif
