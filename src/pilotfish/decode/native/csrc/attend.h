/* Attention of one token over its row's keys and values, up to four query heads of one key/value head at a time.
 *
 * Keys lie in blocks of 16, one lane a key, so scores need no sums across lanes; values lie one after another, one lane
 * a dimension. Values are added in the order of their positions, one key after another: what a mask leaves out adds an
 * exact zero, and a token's result is the same whether its ancestors were fed before it or beside it.
 */
#ifndef PF_ATTEND_H
#define PF_ATTEND_H

#include "model.h"
#include "simd.h"

#define KEYS 16
#define QUERIES 4

INLINE int64_t key_bytes(const Model *m) { return m->head_dim * (m->cache == BFLOAT16 ? 2 : 4); }
INLINE int64_t value_bytes(const Model *m) { return m->value_dim * (m->cache == BFLOAT16 ? 2 : 4); }

static void put_key(const Model *m, char *keys, int64_t at, const float *x) {
    char *block = keys + at / KEYS * KEYS * key_bytes(m);
    int64_t lane = at % KEYS;
    if (m->cache == BFLOAT16) {
        uint16_t *p = (uint16_t *)block;
        for (int64_t d = 0; d < m->head_dim; d++) p[(d / 2 * KEYS + lane) * 2 + d % 2] = float_bf(x[d]);
    } else {
        float *p = (float *)block;
        for (int64_t d = 0; d < m->head_dim; d++) p[d * KEYS + lane] = x[d];
    }
}

static void put_value(const Model *m, char *values, int64_t at, const float *x) {
    char *place = values + at * value_bytes(m);
    if (m->cache == BFLOAT16) {
        uint16_t *p = (uint16_t *)place;
        for (int64_t d = 0; d < m->head_dim; d++) p[d] = float_bf(x[d]);
        for (int64_t d = m->head_dim; d < m->value_dim; d++) p[d] = 0;
    } else {
        float *p = (float *)place;
        for (int64_t d = 0; d < m->value_dim; d++) p[d] = d < m->head_dim ? x[d] : 0.0f;
    }
}

/* Scores of n queries (head_dim apart) with the 16 keys of one block. */
INLINE void score_block(const int n, const int bf, const char *block, const float *q, int64_t head_dim, float *scores,
                        int64_t lds) {
#pragma GCC unroll 4
    for (int part = 0; part < KEYS / W; part++) {
        vf sum[QUERIES], odd[QUERIES];
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) sum[i] = odd[i] = splat(0.0f);
        if (bf) {
            const char *p = block + part * VB;
            for (int64_t d = 0; d < head_dim; d += 2, p += KEYS * 4) {
                vu raw = load_raw(p);
                vf a = bf_even(raw), b = bf_odd(raw);
#pragma GCC unroll 4
                for (int i = 0; i < n; i++) {
                    sum[i] = sum[i] + a * splat(q[i * head_dim + d]);
                    odd[i] = odd[i] + b * splat(q[i * head_dim + d + 1]);
                }
            }
        } else {
            const float *p = (const float *)block + part * W;
            for (int64_t d = 0; d < head_dim; d += 2, p += 2 * KEYS) {
                vf a = load(p), b = load(p + KEYS);
#pragma GCC unroll 4
                for (int i = 0; i < n; i++) {
                    sum[i] = sum[i] + a * splat(q[i * head_dim + d]);
                    odd[i] = odd[i] + b * splat(q[i * head_dim + d + 1]);
                }
            }
        }
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) store(scores + i * lds + part * W, sum[i] + odd[i]);
    }
}

/* out (n, head_dim) = sum over keys [from, to) of p times value, over the sum of the p. */
INLINE void add_values(const int n, const int bf, const Model *m, const char *values, int64_t from, int64_t to,
                       const float *p, int64_t lds, float *out) {
    float total[QUERIES] = {0};
    for (int64_t j = from; j < to; j++)
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) total[i] += p[i * lds + j];
    /* 2 W dimensions at a time: of a register of bfloat16s the even ones and the odd ones. */
    for (int64_t d = 0; d < m->value_dim; d += 2 * W) {
        vf a[QUERIES], b[QUERIES];
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) a[i] = b[i] = splat(0.0f);
        const char *v = values + from * value_bytes(m) + d * (bf ? 2 : 4);
        for (int64_t j = from; j < to; j++, v += value_bytes(m)) {
            vf x, y;
            if (bf) {
                vu raw = load_raw(v);
                x = bf_even(raw);
                y = bf_odd(raw);
            } else {
                x = load((const float *)v);
                y = load((const float *)v + W);
            }
#pragma GCC unroll 4
            for (int i = 0; i < n; i++) {
                vf w = splat(p[i * lds + j]);
                a[i] = a[i] + w * x;
                b[i] = b[i] + w * y;
            }
        }
        for (int i = 0; i < n; i++) {
            float even[W], odd[W];
            float *place = out + i * m->head_dim + d;
            store(even, a[i] / splat(total[i]));
            store(odd, b[i] / splat(total[i]));
            for (int64_t e = 0; e < 2 * W && d + e < m->head_dim; e++)
                place[e] = bf ? (e % 2 ? odd[e / 2] : even[e / 2]) : (e < W ? even[e] : odd[e - W]);
        }
    }
}

/* One token: sees keys [from, to) of its row, of which those at `length` and after only where mask says so. */
INLINE void attend_some(const int n, const int bf, const Model *m, const char *keys, const char *values, int64_t from,
                        int64_t to, int64_t length, const uint8_t *mask, const float *q, float *scores, int64_t lds,
                        float *out) {
    int64_t start = from & ~(int64_t)(KEYS - 1), end = (to + KEYS - 1) & ~(int64_t)(KEYS - 1);
    for (int64_t j = start; j < end; j += KEYS)
        score_block(n, bf, keys + j * key_bytes(m), q, m->head_dim, scores + j, lds);
    for (int i = 0; i < n; i++) {
        float *s = scores + i * lds;
        for (int64_t j = start; j < from; j++) s[j] = -INFINITY;
        for (int64_t j = to; j < end; j++) s[j] = -INFINITY;
        if (mask)
            for (int64_t j = length; j < to; j++)
                if (!mask[j - length]) s[j] = -INFINITY;
        vf top = splat(-INFINITY);
        for (int64_t j = start; j < end; j += W) top = vmax(top, load(s + j));
        top = splat(hmax(top));
        for (int64_t j = start; j < end; j += W) store(s + j, vexp(load(s + j) - top));
    }
    add_values(n, bf, m, values, from, to, scores, lds, out);
}

#define ATTEND(NAME, BF)                                                                                               \
    static void NAME(int n, const Model *m, const char *keys, const char *values, int64_t from, int64_t to,            \
                     int64_t length, const uint8_t *mask, const float *q, float *scores, int64_t lds, float *out) {    \
        switch (n) {                                                                                                   \
        case 1: attend_some(1, BF, m, keys, values, from, to, length, mask, q, scores, lds, out); break;               \
        case 2: attend_some(2, BF, m, keys, values, from, to, length, mask, q, scores, lds, out); break;               \
        case 3: attend_some(3, BF, m, keys, values, from, to, length, mask, q, scores, lds, out); break;               \
        default: attend_some(4, BF, m, keys, values, from, to, length, mask, q, scores, lds, out); break;              \
        }                                                                                                              \
    }

ATTEND(attend_float32, 0)
ATTEND(attend_bfloat16, 1)

#endif
