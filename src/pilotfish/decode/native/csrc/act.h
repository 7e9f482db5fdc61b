/* What linears read: activations in the form that the weights want, one row a token, padded with zeros to 64. */
#ifndef PF_ACT_H
#define PF_ACT_H

#include "model.h"
#include "simd.h"

#define GROUP 32 /* activations and int4 weights share a scale by 32 */

typedef struct {
    int kind;       /* FLOAT32, BFLOAT16, or INT8 (for INT8 and INT4 weights) */
    int64_t stride; /* elements from token to token: k rounded up to 64 */
    char *data;     /* float, bfloat16 or signed byte */
    float *scale;   /* INT8: (tokens, stride / 32): x = scale * byte */
    int32_t *total; /* INT8: sum of a group's bytes */
    float *sum;     /* INT8: sum of a group's values, scale * total */
} Act;

INLINE int act_kind(const Linear *l) { return l->kind == SHORT ? BFLOAT16 : l->kind >= INT8 ? INT8 : (int)l->kind; }
INLINE int64_t pad64(int64_t k) { return (k + 63) & ~(int64_t)63; }

/* Signed bytes by groups of 32, each with its own scale (largest magnitude / 127). */
static void quantise_group(const float *x, int8_t *q, float *scale, int32_t *total, float *sum) {
    vf top = splat(0.0f);
    for (int i = 0; i < GROUP; i += W) {
        vf v = load(x + i);
        top = vmax(top, vmax(v, -v));
    }
    float peak = hmax(top);
    float s = peak / 127.0f, inverse = peak > 0.0f ? 127.0f / peak : 0.0f;
    const vf magic = splat(12582912.0f);
    vi all = (vi)splat(0.0f);
    int32_t whole[GROUP];
    for (int i = 0; i < GROUP; i += W) {
        vi v = (vi)(load(x + i) * splat(inverse) + magic) - (vi)magic;
        all += v;
        memcpy(whole + i, &v, VB);
    }
    for (int i = 0; i < GROUP; i++) q[i] = (int8_t)whole[i];
    int32_t t = 0;
    for (int i = 0; i < W; i++) t += all[i];
    *scale = s;
    *total = t;
    *sum = s * (float)t;
}

/* Convert elements [from, to) of one token; `from` is a multiple of 32, and so is `to` unless it is the last. */
static void convert(const Act *act, int64_t token, const float *x, int64_t from, int64_t to) {
    int64_t base = token * act->stride;
    int64_t end = to & ~(int64_t)(GROUP - 1);
    float tail[GROUP] = {0};
    if (act->kind == INT8) {
        for (int64_t i = from; i < to; i += GROUP) {
            const float *source = x + i;
            int64_t g = (base + i) / GROUP;
            if (i >= end) {
                memcpy(tail, x + i, (size_t)(to - i) * 4);
                source = tail;
            }
            quantise_group(source, (int8_t *)act->data + base + i, act->scale + g, act->total + g, act->sum + g);
        }
    } else if (act->kind == BFLOAT16) {
        uint16_t *out = (uint16_t *)act->data + base;
        int64_t i = from;
#if defined(PF_AVX512) && defined(__AVX512BF16__)
        for (; i + 32 <= to; i += 32) {
            __m512bh h = _mm512_cvtne2ps_pbh((__m512)load(x + i + 16), (__m512)load(x + i));
            memcpy(out + i, &h, 64);
        }
#endif
        for (; i < to; i++) out[i] = float_bf(x[i]);
    } else {
        float *out = (float *)act->data + base;
        if (out + from != x + from) memcpy(out + from, x + from, (size_t)(to - from) * 4);
    }
}

/* Zero the padding after element k; INT8 pads within its last group already, and needs whole groups only. */
static void pad(const Act *act, int64_t token, int64_t k) {
    int64_t base = token * act->stride;
    if (act->kind == INT8) {
        for (int64_t i = (k + GROUP - 1) & ~(int64_t)(GROUP - 1); i < act->stride; i += GROUP) {
            int64_t g = (base + i) / GROUP;
            memset(act->data + base + i, 0, GROUP);
            act->scale[g] = 0;
            act->total[g] = 0;
            act->sum[g] = 0;
        }
    } else {
        int64_t size = act->kind == BFLOAT16 ? 2 : 4;
        memset(act->data + (base + k) * size, 0, (size_t)((act->stride - k) * size));
    }
}

#endif
