/* Linears whose weights stay where they are, (n, k) in float32 or bfloat16.
 *
 * A tile is a few rows by a few tokens; each of its sums is one register that walks k once and is added up at the end, always in
 * the same order. So a token's result does not depend on how many tokens stand beside it, and what was computed one
 * token at a time is found again, to the last bit, when several are verified at once.
 */
#ifndef PF_DOT_H
#define PF_DOT_H

#include "act.h"

/* 24 sums, 4 rows by 6 tokens or 2 by 12, with weights and an activation fill AVX-512's 32 registers. */
#define DOT_TOKENS 6
#define DOT_WIDE 12

INLINE vf mac_float32(vf sum, vu w, vu x) { return sum + (vf)w * (vf)x; }

INLINE vf mac_bfloat16(vf sum, vu w, vu x) {
#if defined(PF_AVX512) && defined(__AVX512BF16__)
    return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)w, (__m512bh)x);
#else
    sum = sum + bf_even(w) * bf_even(x);
    return sum + bf_odd(w) * bf_odd(x);
#endif
}

/* The sums of four registers. */
INLINE void hsum4(vf a, vf b, vf c, vf d, float *out) {
#ifdef PF_AVX512
    __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps((__m512)a, (__m512)b), _mm512_unpackhi_ps((__m512)a, (__m512)b));
    __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps((__m512)c, (__m512)d), _mm512_unpackhi_ps((__m512)c, (__m512)d));
    __m512 lo = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd)));
    __m512 hi = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd)));
    __m512 all = _mm512_add_ps(lo, hi);
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
#else
    out[0] = hsum(a);
    out[1] = hsum(b);
    out[2] = hsum(c);
    out[3] = hsum(d);
#endif
}

/* A tile: `n` rows w[0..n-1] by `tokens` tokens from x on (ldx bytes apart), `bytes` of each.
 *
 * The sums begin at `carry`, or at 0 where `first`, and end there, unless `last`: then they are added up, to out (tokens,
 * 4). `ahead`: how far on each row's stream to fetch into the cache, in bytes. */
#define TILE(KIND)                                                                                                     \
    INLINE void tile_##KIND(const int n, const int tokens, const char *const w[5], const char *x, int64_t ldx,         \
                            int64_t bytes, const int64_t ahead[4], int first, int last, float *carry, float *out)

#define TILE_BEGIN                                                                                                     \
    vf sum[4][DOT_WIDE];                                                                                               \
    DOT_TOKEN DOT_ROW(4) sum[r][t] = splat(0.0f);                                                                      \
    if (!first) DOT_TOKEN DOT_ROW(n) sum[r][t] = load(carry + (4 * t + r) * W);

#define TILE_END                                                                                                       \
    if (last) DOT_TOKEN hsum4(sum[0][t], sum[1][t], sum[2][t], sum[3][t], out + 4 * t);                                \
    else DOT_TOKEN DOT_ROW(n) store(carry + (4 * t + r) * W, sum[r][t]);

#define DOT_TILE(KIND)                                                                                                 \
    TILE(KIND) {                                                                                                       \
        int64_t whole = bytes & ~(int64_t)(VB - 1), i = 0;                                                             \
        TILE_BEGIN                                                                                                     \
        for (; i < whole; i += VB) {                                                                                   \
            vu v[4];                                                                                                   \
            DOT_ROW(n) {                                                                                               \
                v[r] = load_raw(w[r] + i);                                                                             \
                __builtin_prefetch(w[r] + i + ahead[r]);                                                               \
            }                                                                                                          \
            DOT_TOKEN {                                                                                                \
                vu y = load_raw(x + t * ldx + i);                                                                      \
                DOT_ROW(n) sum[r][t] = mac_##KIND(sum[r][t], v[r], y);                                                 \
            }                                                                                                          \
        }                                                                                                              \
        if (i < bytes) { /* activations are padded, weights are not */                                                 \
            char rest[4][VB];                                                                                          \
            memset(rest, 0, sizeof rest);                                                                              \
            for (int r = 0; r < n; r++) memcpy(rest[r], w[r] + i, (size_t)(bytes - i));                                \
            DOT_TOKEN {                                                                                                \
                vu y = load_raw(x + t * ldx + i);                                                                      \
                DOT_ROW(n) sum[r][t] = mac_##KIND(sum[r][t], load_raw(rest[r]), y);                                    \
            }                                                                                                          \
        }                                                                                                              \
        TILE_END                                                                                                       \
    }

#define DOT_ROW(n) _Pragma("GCC unroll 4") for (int r = 0; r < (n); r++)
#define DOT_TOKEN _Pragma("GCC unroll 12") for (int t = 0; t < tokens; t++)

DOT_TILE(float32)
DOT_TILE(bfloat16)

/* Where a few tokens are too long for the first-level cache, they are cut in pieces along k, and each piece meets a
 * block of rows before the next one does; the sums wait in `carry`. Room is left for the rows themselves and the next
 * ones: measured best of 12, 16, 24 and 32 KiB, for four rows at once and for two. */
#define DOT_CACHE(height) ((height) == 2 ? 24576 : 16384)
#define DOT_BLOCK 64

/* How far from row `row` of block [block, end) to fetch: the rows 4 on, wherever in the walk they come. */
INLINE int64_t next_rows(int64_t row, int64_t block, int64_t end, int64_t to, int64_t ldw, int64_t k, int64_t piece) {
    if (row + 8 <= end) return 4 * ldw;
    if (k + piece < ldw) return (row + 4 - end + block - row) * ldw + piece;
    return row + 8 <= to ? 4 * ldw - k : 0;
}

/* Rows [from, to) for tokens [t0, t0 + m): y[token * ldy + row] = (or +=, where `add`) the dot product and bias. */
#define DOT_CASE(KIND, N, T)                                                                                           \
    case T: tile_##KIND(N, T, w, x, ldx, size, ahead, k == 0, k + size == ldw, sums, out); break;
/* LDW: bytes of a token's activations; AT(row, k): where a row's weights for the k-th of them on begin, and BY(bytes)
 * how many bytes of weights belong to so many; HEAD(row): what else a tile must know, w[4]. */
#define DOT_ROWS(KIND, LDW, SIZE, AT, BY, HEAD)                                                                        \
    static void rows_##KIND(const Linear *l, const Act *act, int64_t t0, int64_t m, float *y, int64_t ldy, int add,    \
                            int64_t from, int64_t to) {                                                                \
        int64_t ldw = LDW, ldx = act->stride * SIZE, piece = ldw, rows = to - from;                                    \
        int64_t most = m > DOT_TOKENS && m <= DOT_WIDE ? DOT_WIDE : DOT_TOKENS, tiles = (m + most - 1) / most;         \
        int height = most == DOT_WIDE ? 2 : 4;                                                                         \
        float out[4 * DOT_WIDE], carry[DOT_BLOCK / 2][4 * DOT_WIDE * W];                                               \
        if (tiles == 1 && m > 1 && m * ldw > DOT_CACHE(height)) {                                                      \
            piece = DOT_CACHE(height) / m & ~(int64_t)255;                                                             \
            rows = DOT_BLOCK;                                                                                          \
        }                                                                                                              \
        for (int64_t block = from; block < to; block += rows)                                                          \
            for (int64_t k = 0; k < ldw; k += piece)                                                                   \
                for (int64_t row = block; row < block + rows && row < to; row += height) {                             \
                    const char *w[5] = {[4] = HEAD(row)};                                                              \
                    int64_t end = block + rows < to ? block + rows : to, size = ldw - k < piece ? ldw - k : piece;     \
                    int64_t far = BY(next_rows(row, block, end, to, ldw, k, piece));                                   \
                    int count = to - row < height ? (int)(to - row) : height;                                          \
                    float *sums = carry[piece < ldw ? (row - block) / height : 0];                                     \
                    for (int r = 0; r < 4; r++) w[r] = AT(row + (r < count ? r : 0), k);                               \
                    for (int64_t tile = 0; tile < tiles; tile++) {                                                     \
                        int64_t a = m * tile / tiles, n = m * (tile + 1) / tiles - a, ahead[4];                        \
                        const char *x = act->data + (t0 + a) * ldx + k;                                                \
                        /* Tiles share the fetching; what is here already costs next to nothing. */                    \
                        for (int r = 0; r < 4; r++) ahead[r] = r * tiles / 4 == tile ? far : 0;                        \
                        if (tiles > 4 && tile < 4) ahead[tile] = far;                                                  \
                        switch (n) {                                                                                   \
                            DOT_CASE(KIND, 4, 1)                                                                       \
                            DOT_CASE(KIND, 4, 2)                                                                       \
                            DOT_CASE(KIND, 4, 3)                                                                       \
                            DOT_CASE(KIND, 4, 4)                                                                       \
                            DOT_CASE(KIND, 4, 5)                                                                       \
                            DOT_CASE(KIND, 4, 6)                                                                       \
                            DOT_CASE(KIND, 2, 7)                                                                       \
                            DOT_CASE(KIND, 2, 8)                                                                       \
                            DOT_CASE(KIND, 2, 9)                                                                       \
                            DOT_CASE(KIND, 2, 10)                                                                      \
                            DOT_CASE(KIND, 2, 11)                                                                      \
                            DOT_CASE(KIND, 2, 12)                                                                      \
                        }                                                                                              \
                        if (k + size < ldw) continue;                                                                  \
                        for (int64_t t = 0; t < n; t++)                                                                \
                            for (int r = 0; r < count; r++) {                                                          \
                                float value = out[4 * t + r] + (l->bias ? l->bias[row + r] : 0.0f);                    \
                                float *place = y + (t0 + a + t) * ldy + row + r;                                       \
                                *place = add ? *place + value : value;                                                 \
                            }                                                                                          \
                    }                                                                                                  \
                }                                                                                                      \
    }

#define PLAIN_AT(row, k) ((const char *)l->w + (row) * ldw + (k))
#define PLAIN_BY(bytes) (bytes)
#define PLAIN_HEAD(row) NULL
DOT_ROWS(float32, l->k * 4, 4, PLAIN_AT, PLAIN_BY, PLAIN_HEAD)
DOT_ROWS(bfloat16, l->k * 2, 2, PLAIN_AT, PLAIN_BY, PLAIN_HEAD)

#endif
