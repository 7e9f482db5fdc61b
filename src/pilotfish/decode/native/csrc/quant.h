/* Linears with packed int8 and int4 weights, times activations in signed bytes.
 *
 * Sixteen rows make a unit, one lane each: a unit is one stream of memory, no sum crosses lanes, and a weight byte read
 * once serves all tokens of a tile. Integer sums are exact and scales are added in order, so a token's result does not
 * depend on the tokens beside it.
 *
 * INT8: w = scale[row] * (byte - 128). Unit: k / 4 times (16 rows x 4 bytes).
 * INT4: w = d * nibble + m, by groups of 32. Unit: k / 32 times (256 bytes of nibbles, 16 d and 16 m in half precision);
 * each 64 bytes of nibbles hold one quad of k in the low halves and the next quad in the high ones.
 */
#ifndef PF_QUANT_H
#define PF_QUANT_H

#include "act.h"
#include "lanes.h"

/* An integer and a float sum a token: 24 of AVX-512's 32 registers; elsewhere 16 hold half as much each. */
#define QUANT_MOST 12
#ifdef PF_AVX512
#define QUANT_TOKENS QUANT_MOST
#else
#define QUANT_TOKENS 4
#endif
#define PREFETCH 4096 /* bytes ahead in a unit's stream */
#define INT4_GROUP 320 /* bytes of 16 rows x 32 */

INLINE int64_t groups(int64_t k) { return (k + GROUP - 1) / GROUP; }
INLINE int64_t unit_bytes(const Linear *l) { return groups(l->k) * (l->kind == INT8 ? 16 * GROUP : INT4_GROUP); }

INLINE int32_t quad(const char *x) {
    int32_t v;
    memcpy(&v, x, 4);
    return v;
}

/* One unit by `tokens` tokens from `token` on: 16 floats a token to out. */
INLINE void tile_int8(const int tokens, const uint8_t *w, const float *scale, int64_t count, const Act *act,
                      int64_t token, int64_t ahead, int turn, int turns, float *out) {
    floats sum[QUANT_MOST];
    int64_t ldg = act->stride / GROUP, first = token * ldg;
    const char *x = act->data + token * act->stride;
#pragma GCC unroll 12
    for (int t = 0; t < tokens; t++) sum[t] = all(0.0f);
    for (int64_t g = 0; g < count; g++, w += 16 * GROUP, x += GROUP) {
        ints dots[QUANT_MOST];
        int fetch = turn == 0;
        turn = fetch ? turns - 1 : turn - 1;
#pragma GCC unroll 12
        for (int t = 0; t < tokens; t++) dots[t] = start8(act->total[first + t * ldg + g]);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            bytes b = load_bytes(w + 64 * j);
            if (fetch) __builtin_prefetch(w + 64 * j + ahead);
#pragma GCC unroll 12
            for (int t = 0; t < tokens; t++) dots[t] = dot8(dots[t], b, quad(x + t * act->stride + 4 * j));
        }
#pragma GCC unroll 12
        for (int t = 0; t < tokens; t++)
            sum[t] = fma16(to_floats(dots[t]), all(act->scale[first + t * ldg + g]), sum[t]);
    }
#pragma GCC unroll 12
    for (int t = 0; t < tokens; t++) store16(out + 16 * t, mul(sum[t], load16(scale)));
}

INLINE void tile_int4(const int tokens, const uint8_t *w, const float *scale, int64_t count, const Act *act,
                      int64_t token, int64_t ahead, int turn, int turns, float *out) {
    floats sum[QUANT_MOST];
    int64_t ldg = act->stride / GROUP, first = token * ldg;
    const char *x = act->data + token * act->stride;
    (void)scale;
#pragma GCC unroll 12
    for (int t = 0; t < tokens; t++) sum[t] = all(0.0f);
    for (int64_t g = 0; g < count; g++, w += INT4_GROUP, x += GROUP) {
        ints dots[QUANT_MOST];
        int fetch = turn == 0;
        turn = fetch ? turns - 1 : turn - 1;
#pragma GCC unroll 12
        for (int t = 0; t < tokens; t++) dots[t] = start4();
        if (fetch) __builtin_prefetch(w + 256 + ahead);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            bytes both = load_bytes(w + 64 * j), low = low_nibbles(both), high = high_nibbles(both);
            if (fetch) __builtin_prefetch(w + 64 * j + ahead);
#pragma GCC unroll 12
            for (int t = 0; t < tokens; t++) {
                dots[t] = dot4(dots[t], low, quad(x + t * act->stride + 8 * j));
                dots[t] = dot4(dots[t], high, quad(x + t * act->stride + 8 * j + 4));
            }
        }
        floats d = halves((const uint16_t *)(w + 256)), m = halves((const uint16_t *)(w + 288));
#pragma GCC unroll 12
        for (int t = 0; t < tokens; t++) {
            sum[t] = fma16(to_floats(dots[t]), mul(d, all(act->scale[first + t * ldg + g])), sum[t]);
            sum[t] = fma16(m, all(act->sum[first + t * ldg + g]), sum[t]);
        }
    }
#pragma GCC unroll 12
    for (int t = 0; t < tokens; t++) store16(out + 16 * t, sum[t]);
}

/* Rows [from, to), `from` a multiple of 16, for tokens [t0, t0 + m). */
#define QUANT_CASE(KIND, T)                                                                                            \
    case T: tile_##KIND(T, w, scale, count, act, t0 + a, ahead, (int)tile, (int)tiles, out); break;
#define QUANT_ROWS(KIND)                                                                                               \
    static void rows_##KIND(const Linear *l, const Act *act, int64_t t0, int64_t m, float *y, int64_t ldy, int add,    \
                            int64_t from, int64_t to) {                                                                \
        int64_t size = unit_bytes(l), count = groups(l->k), tiles = (m + QUANT_TOKENS - 1) / QUANT_TOKENS;             \
        /* Alone, a tile fetches a little ahead; with others, each fetches its share of the next unit. */              \
        int64_t ahead = tiles == 1 ? PREFETCH : size;                                                                  \
        float out[16 * QUANT_MOST];                                                                                    \
        for (int64_t row = from; row < to; row += 16) {                                                                \
            const uint8_t *w = (const uint8_t *)l->w + row / 16 * size;                                                \
            const float *scale = l->scale + row;                                                                       \
            int lanes = to - row < 16 ? (int)(to - row) : 16;                                                          \
            for (int64_t tile = 0; tile < tiles; tile++) {                                                             \
                int64_t a = m * tile / tiles, n = m * (tile + 1) / tiles - a;                                          \
                switch (n) {                                                                                           \
                    QUANT_CASE(KIND, 1)                                                                                \
                    QUANT_CASE(KIND, 2)                                                                                \
                    QUANT_CASE(KIND, 3)                                                                                \
                    QUANT_CASE(KIND, 4)                                                                                \
                    QUANT_CASE(KIND, 5)                                                                                \
                    QUANT_CASE(KIND, 6)                                                                                \
                    QUANT_CASE(KIND, 7)                                                                                \
                    QUANT_CASE(KIND, 8)                                                                                \
                    QUANT_CASE(KIND, 9)                                                                                \
                    QUANT_CASE(KIND, 10)                                                                               \
                    QUANT_CASE(KIND, 11)                                                                               \
                    QUANT_CASE(KIND, 12)                                                                               \
                }                                                                                                      \
                for (int64_t t = 0; t < n; t++) {                                                                      \
                    float *place = y + (t0 + a + t) * ldy + row, *value = out + 16 * t;                                \
                    if (l->bias)                                                                                       \
                        for (int r = 0; r < lanes; r++) value[r] += l->bias[row + r];                                  \
                    for (int r = 0; r < lanes; r++) place[r] = add ? place[r] + value[r] : value[r];                   \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

QUANT_ROWS(int8)
QUANT_ROWS(int4)

#endif
