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

/* A tile: `n` rows w[0..n-1] by `tokens` tokens from x on (ldx bytes apart), `bytes` of each; sums to out (tokens, 4).
 * `ahead`: how far on each row's stream to fetch into the cache, in bytes. */
#define DOT_TILE(KIND)                                                                                                 \
    INLINE void tile_##KIND(const int n, const int tokens, const char *const w[4], const char *x, int64_t ldx,         \
                            int64_t bytes, const int64_t ahead[4], float *out) {                                       \
        vf sum[4][DOT_WIDE];                                                                                           \
        _Pragma("GCC unroll 12") for (int t = 0; t < tokens; t++)                                                      \
            _Pragma("GCC unroll 4") for (int r = 0; r < 4; r++) sum[r][t] = splat(0.0f);                               \
        int64_t whole = bytes & ~(int64_t)(VB - 1), i = 0;                                                             \
        for (; i < whole; i += VB) {                                                                                   \
            vu v[4];                                                                                                   \
            _Pragma("GCC unroll 4") for (int r = 0; r < n; r++) {                                                      \
                v[r] = load_raw(w[r] + i);                                                                             \
                __builtin_prefetch(w[r] + i + ahead[r]);                                                               \
            }                                                                                                          \
            _Pragma("GCC unroll 12") for (int t = 0; t < tokens; t++) {                                                \
                vu y = load_raw(x + t * ldx + i);                                                                      \
                _Pragma("GCC unroll 4") for (int r = 0; r < n; r++) sum[r][t] = mac_##KIND(sum[r][t], v[r], y);        \
            }                                                                                                          \
        }                                                                                                              \
        if (i < bytes) { /* activations are padded, weights are not */                                                 \
            char rest[4][VB];                                                                                          \
            memset(rest, 0, sizeof rest);                                                                              \
            for (int r = 0; r < n; r++) memcpy(rest[r], w[r] + i, (size_t)(bytes - i));                                \
            _Pragma("GCC unroll 12") for (int t = 0; t < tokens; t++) {                                                \
                vu y = load_raw(x + t * ldx + i);                                                                      \
                _Pragma("GCC unroll 4") for (int r = 0; r < n; r++)                                                    \
                    sum[r][t] = mac_##KIND(sum[r][t], load_raw(rest[r]), y);                                           \
            }                                                                                                          \
        }                                                                                                              \
        _Pragma("GCC unroll 12") for (int t = 0; t < tokens; t++)                                                      \
            hsum4(sum[0][t], sum[1][t], sum[2][t], sum[3][t], out + 4 * t);                                            \
    }

DOT_TILE(float32)
DOT_TILE(bfloat16)

/* Rows [from, to) for tokens [t0, t0 + m): y[token * ldy + row] = (or +=, where `add`) the dot product and bias. */
#define DOT_CASE(KIND, N, T)                                                                                           \
    case T: tile_##KIND(N, T, w, x, ldx, ldw, ahead, out); break;
#define DOT_ROWS(KIND, SIZE)                                                                                           \
    static void rows_##KIND(const Linear *l, const Act *act, int64_t t0, int64_t m, float *y, int64_t ldy, int add,    \
                            int64_t from, int64_t to) {                                                                \
        int64_t ldw = l->k * SIZE, ldx = act->stride * SIZE;                                                           \
        int64_t most = m > DOT_TOKENS && m <= DOT_WIDE ? DOT_WIDE : DOT_TOKENS, tiles = (m + most - 1) / most;         \
        int height = most == DOT_WIDE ? 2 : 4;                                                                         \
        float out[4 * DOT_WIDE];                                                                                       \
        for (int64_t row = from; row < to; row += height) {                                                            \
            const char *w[4];                                                                                          \
            int count = to - row < height ? (int)(to - row) : height;                                                  \
            for (int r = 0; r < 4; r++) w[r] = (const char *)l->w + (row + (r < count ? r : 0)) * ldw;                 \
            for (int64_t tile = 0; tile < tiles; tile++) {                                                             \
                int64_t a = m * tile / tiles, n = m * (tile + 1) / tiles - a, ahead[4];                                \
                const char *x = act->data + (t0 + a) * ldx;                                                            \
                /* Each tile fetches its share of the next rows; what is here already costs next to nothing. */        \
                for (int r = 0; r < 4; r++) ahead[r] = r * tiles / 4 == tile && row + 8 <= to ? 4 * ldw : 0;           \
                if (tiles > 4 && tile < 4) ahead[tile] = row + 8 <= to ? 4 * ldw : 0;                                  \
                switch (n) {                                                                                           \
                    DOT_CASE(KIND, 4, 1)                                                                               \
                    DOT_CASE(KIND, 4, 2)                                                                               \
                    DOT_CASE(KIND, 4, 3)                                                                               \
                    DOT_CASE(KIND, 4, 4)                                                                               \
                    DOT_CASE(KIND, 4, 5)                                                                               \
                    DOT_CASE(KIND, 4, 6)                                                                               \
                    DOT_CASE(KIND, 2, 7)                                                                               \
                    DOT_CASE(KIND, 2, 8)                                                                               \
                    DOT_CASE(KIND, 2, 9)                                                                               \
                    DOT_CASE(KIND, 2, 10)                                                                              \
                    DOT_CASE(KIND, 2, 11)                                                                              \
                    DOT_CASE(KIND, 2, 12)                                                                              \
                }                                                                                                      \
                for (int64_t t = 0; t < n; t++)                                                                        \
                    for (int r = 0; r < count; r++) {                                                                  \
                        float value = out[4 * t + r] + (l->bias ? l->bias[row + r] : 0.0f);                            \
                        float *place = y + (t0 + a + t) * ldy + row + r;                                               \
                        *place = add ? *place + value : value;                                                         \
                    }                                                                                                  \
            }                                                                                                          \
        }                                                                                                              \
    }

DOT_ROWS(float32, 4)
DOT_ROWS(bfloat16, 2)

#endif
