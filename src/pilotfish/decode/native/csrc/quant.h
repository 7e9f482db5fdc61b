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

/* A tile is two units by up to 6 tokens (an integer and a float sum each: 24 of AVX-512's 32 registers), so that an
 * activation is loaded once for two products; elsewhere registers are half as many, and hold half as much. */
#ifdef PF_AVX512
#define QUANT_TOKENS 6
#else
#define QUANT_TOKENS 2
#endif
#define PAIR 2
#define PREFETCH 4096 /* bytes ahead in a unit's stream */
#define LONG 65536    /* bytes of weights that should not be fetched long before they are used */
#define INT4_GROUP 320 /* bytes of 16 rows x 32 */

INLINE int64_t groups(int64_t k) { return (k + GROUP - 1) / GROUP; }
INLINE int64_t unit_bytes(const Linear *l) { return groups(l->k) * (l->kind == INT8 ? 16 * GROUP : INT4_GROUP); }

INLINE int32_t quad(const char *x) {
    int32_t v;
    memcpy(&v, x, 4);
    return v;
}

#define EACH_UNIT _Pragma("GCC unroll 2") for (int u = 0; u < units; u++)
#define EACH_TOKEN _Pragma("GCC unroll 6") for (int t = 0; t < tokens; t++)
#define EACH_SUM EACH_TOKEN EACH_UNIT

/* `units` units, the first at w and the second `size` bytes on, by `tokens` tokens from `token` on: to out 16 floats for
 * each token and unit. Every `turns`-th group, `turn` the first, is fetched `ahead` bytes on. */
INLINE void tile_int8(const int units, const int tokens, const uint8_t *w, int64_t size, const float *scale,
                      int64_t count, const Act *act, int64_t token, int64_t ahead, int turn, int turns, float *out) {
    floats sum[PAIR][QUANT_TOKENS];
    int64_t ldg = act->stride / GROUP, first = token * ldg;
    const char *x = act->data + token * act->stride;
    EACH_SUM sum[u][t] = all(0.0f);
    for (int64_t g = 0; g < count; g++, w += 16 * GROUP, x += GROUP) {
        ints dots[PAIR][QUANT_TOKENS];
        int fetch = turn == 0;
        turn = fetch ? turns - 1 : turn - 1;
        EACH_SUM dots[u][t] = start8(act->total[first + t * ldg + g]);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            bytes b[PAIR];
            EACH_UNIT {
                b[u] = load_bytes(w + u * size + 64 * j);
                if (fetch) __builtin_prefetch(w + u * size + 64 * j + ahead);
            }
            EACH_TOKEN {
                int32_t q = quad(x + t * act->stride + 4 * j);
                EACH_UNIT dots[u][t] = dot8(dots[u][t], b[u], q);
            }
        }
        EACH_SUM sum[u][t] = fma16(to_floats(dots[u][t]), all(act->scale[first + t * ldg + g]), sum[u][t]);
    }
    EACH_SUM store16(out + 16 * (t * PAIR + u), mul(sum[u][t], load16(scale + 16 * u)));
}

INLINE void tile_int4(const int units, const int tokens, const uint8_t *w, int64_t size, const float *scale,
                      int64_t count, const Act *act, int64_t token, int64_t ahead, int turn, int turns, float *out) {
    floats sum[PAIR][QUANT_TOKENS];
    int64_t ldg = act->stride / GROUP, first = token * ldg;
    const char *x = act->data + token * act->stride;
    (void)scale;
    EACH_SUM sum[u][t] = all(0.0f);
    for (int64_t g = 0; g < count; g++, w += INT4_GROUP, x += GROUP) {
        ints dots[PAIR][QUANT_TOKENS];
        int fetch = turn == 0;
        turn = fetch ? turns - 1 : turn - 1;
        EACH_SUM dots[u][t] = start4();
        EACH_UNIT if (fetch) __builtin_prefetch(w + u * size + 256 + ahead);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            bytes low[PAIR], high[PAIR];
            EACH_UNIT {
                bytes both = load_bytes(w + u * size + 64 * j);
                if (fetch) __builtin_prefetch(w + u * size + 64 * j + ahead);
                low[u] = low_nibbles(both);
                high[u] = high_nibbles(both);
            }
            EACH_TOKEN {
                int32_t q = quad(x + t * act->stride + 8 * j), r = quad(x + t * act->stride + 8 * j + 4);
                EACH_UNIT dots[u][t] = dot4(dot4(dots[u][t], low[u], q), high[u], r);
            }
        }
        EACH_UNIT {
            const uint16_t *halfs = (const uint16_t *)(w + u * size + 256);
            floats d = halves(halfs), m = halves(halfs + 16);
            EACH_TOKEN {
                sum[u][t] = fma16(to_floats(dots[u][t]), mul(d, all(act->scale[first + t * ldg + g])), sum[u][t]);
                sum[u][t] = fma16(m, all(act->sum[first + t * ldg + g]), sum[u][t]);
            }
        }
    }
    EACH_SUM store16(out + 16 * (t * PAIR + u), sum[u][t]);
}

/* Rows [from, to), `from` a multiple of 16, for tokens [t0, t0 + m). */
#define QUANT_CASE(KIND, T)                                                                                            \
    case T: tile_##KIND(1, T, w, size, scale, count, act, t0 + a, ahead, (int)tile, (int)tiles, out); break;           \
    case 16 + T: tile_##KIND(2, T, w, size, scale, count, act, t0 + a, ahead, (int)tile, (int)tiles, out); break;
#define QUANT_ROWS(KIND)                                                                                               \
    static void rows_##KIND(const Linear *l, const Act *act, int64_t t0, int64_t m, float *y, int64_t ldy, int add,    \
                            int64_t from, int64_t to) {                                                                \
        int64_t size = unit_bytes(l), count = groups(l->k), tiles = (m + QUANT_TOKENS - 1) / QUANT_TOKENS;             \
        float out[16 * PAIR * QUANT_TOKENS];                                                                           \
        int64_t height = m > 2 ? 16 * PAIR : 16; /* few tokens leave the memory busy anyway, best with one stream */     \
        for (int64_t row = from; row < to; row += height) {                                                            \
            const uint8_t *w = (const uint8_t *)l->w + row / 16 * size;                                                \
            const float *scale = l->scale + row;                                                                       \
            int64_t lanes = to - row < height ? to - row : height;                                                     \
            /* One stream is fetched a little ahead, two by the next units, of which each tile fetches its share. */   \
            int64_t ahead = height / 16 * size;                                                                        \
            if (tiles == 1 && (m <= 2 || ahead > LONG)) ahead = PREFETCH;                                              \
            for (int64_t tile = 0; tile < tiles; tile++) {                                                             \
                int64_t a = m * tile / tiles, n = m * (tile + 1) / tiles - a;                                          \
                switch (n + (lanes > 16 ? 16 : 0)) { QUANT_CASES(KIND) }                                               \
                for (int64_t t = 0; t < n; t++) {                                                                      \
                    float *place = y + (t0 + a + t) * ldy + row, *value = out + 16 * PAIR * t;                         \
                    if (l->bias)                                                                                       \
                        for (int r = 0; r < lanes; r++) value[r] += l->bias[row + r];                                  \
                    for (int r = 0; r < lanes; r++) place[r] = add ? place[r] + value[r] : value[r];                   \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

#ifdef PF_AVX512
#define QUANT_CASES(KIND)                                                                                              \
    QUANT_CASE(KIND, 1)                                                                                                \
    QUANT_CASE(KIND, 2) QUANT_CASE(KIND, 3) QUANT_CASE(KIND, 4) QUANT_CASE(KIND, 5) QUANT_CASE(KIND, 6)
#else
#define QUANT_CASES(KIND) QUANT_CASE(KIND, 1) QUANT_CASE(KIND, 2)
#endif

QUANT_ROWS(int8)
QUANT_ROWS(int4)

#endif
