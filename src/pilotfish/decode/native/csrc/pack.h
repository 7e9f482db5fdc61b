/* From (n, k) float32 or bfloat16 weights to the packed forms of quant.h. */
#ifndef PF_PACK_H
#define PF_PACK_H

#include "quant.h"

/* Half precision, to nearest, ties to even; only while packing, so plain. */
static uint16_t float_half(float f) {
    union { float f; uint32_t u; } x = {f};
    uint32_t sign = x.u >> 16 & 0x8000;
    x.u &= 0x7fffffffu;
    if (x.f > 65504.0f) return (uint16_t)(sign | 0x7bff);
    if (x.f < 6.103515625e-5f) return (uint16_t)(sign | (uint32_t)lrintf(x.f * 16777216.0f)); /* subnormal */
    x.u += 0xfff + (x.u >> 13 & 1);
    return (uint16_t)(sign | ((x.u >> 13) - (112u << 10)));
}

static float from_half(uint16_t h) {
    float f = ldexpf((float)(h & 0x3ff) + (h & 0x7c00 ? 1024.0f : 0.0f), (h & 0x7c00 ? h >> 10 & 31 : 1) - 25);
    return h & 0x8000 ? -f : f;
}

static void read_weights(const void *w, int64_t kind, int64_t n, int64_t k, int64_t row, float *out, int64_t padded) {
    memset(out, 0, (size_t)padded * 4);
    if (row >= n) return;
    if (kind == FLOAT32) memcpy(out, (const float *)w + row * k, (size_t)k * 4);
    else
        for (int64_t i = 0; i < k; i++) out[i] = bf_float(((const uint16_t *)w)[row * k + i]);
}

/* One scale a row: the largest magnitude becomes 127. */
static void pack_int8(const float *x, int64_t k, uint8_t *unit, int lane, float *scale) {
    float peak = 0.0f;
    for (int64_t i = 0; i < k; i++) peak = fabsf(x[i]) > peak ? fabsf(x[i]) : peak;
    float inverse = peak > 0.0f ? 127.0f / peak : 0.0f;
    *scale = peak / 127.0f;
    for (int64_t i = 0; i < k; i++)
        unit[i / 4 * 64 + 4 * lane + i % 4] = (uint8_t)(128 + (int)rintf(x[i] * inverse));
}

/* The weights lie on a grid that was found: their error is below this share of a step (it would be 0.29 at random). */
#define EXACT 0.02f

/* Scale d and minimum m of 32 weights: w = d q + m, q in 0..15.
 *
 * Tries spreading the weights' range over several numbers of steps, each followed by the best d and m for those q (least
 * squares), and takes the least error, which it returns (sum of squares; `power`: of the weights'). Weights that lie on a grid of 16 or fewer values (a GGUF's) come back on it.
 */
static float fit_group(const float *x, float *scale, float *minimum) {
    const vf magic = splat(12582912.0f), zero = splat(0.0f), most = splat(15.0f);
    float low = x[0], high = x[0], sum = 0.0f, best = INFINITY;
    for (int i = 0; i < GROUP; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        sum += x[i];
    }
    *scale = 0.0f;
    *minimum = low;
    if (high <= low) return 0.0f;
    for (int step = 0; step <= 17 && best > GROUP * EXACT * EXACT * *scale * *scale; step++) {
        /* 15 steps first, then from 16 down to 8. */
        float inverse = (step == 0 ? 15.0f : 16.5f - 0.5f * (float)step) / (high - low);
        vf q1 = zero, q2 = zero, qx = zero, error = zero, q[GROUP / W];
        for (int i = 0; i < GROUP / W; i++) {
            vf v = load(x + i * W);
            q[i] = vmin(vmax((v - splat(low)) * splat(inverse) + magic - magic, zero), most);
            q1 += q[i];
            q2 += q[i] * q[i];
            qx += q[i] * (v - splat(low));
        }
        float s1 = hsum(q1), s2 = hsum(q2), sx = hsum(qx), sv = sum - GROUP * low;
        float spread = GROUP * s2 - s1 * s1;
        if (spread <= 0.0f) continue;
        float d = (GROUP * sx - s1 * sv) / spread, m = low + (sv - d * s1) / GROUP;
        d = from_half(float_half(d));
        m = from_half(float_half(m));
        for (int i = 0; i < GROUP / W; i++) {
            vf e = load(x + i * W) - q[i] * splat(d) - splat(m);
            error += e * e;
        }
        float total = hsum(error);
        if (total < best) {
            best = total;
            *scale = d;
            *minimum = m;
        }
    }
    return best;
}

/* Returns the sum of squared errors; adds the sum of the weights' squares to `*power`. */
static double pack_int4(const float *x, int64_t k, uint8_t *unit, int lane, double *power) {
    double error = 0.0;
    for (int64_t g = 0; g < groups(k); g++, x += GROUP, unit += INT4_GROUP) {
        float d, m;
        vf square = splat(0.0f);
        for (int i = 0; i < GROUP; i += W) square += load(x + i) * load(x + i);
        *power += hsum(square);
        error += fit_group(x, &d, &m);
        ((uint16_t *)(unit + 256))[lane] = float_half(d);
        ((uint16_t *)(unit + 288))[lane] = float_half(m);
        float inverse = d > 0.0f ? 1.0f / d : 0.0f;
        int32_t level[GROUP];
        const vf magic = splat(12582912.0f);
        for (int i = 0; i < GROUP; i += W) {
            vf v = vmin(vmax((load(x + i) - splat(m)) * splat(inverse), splat(0.0f)), splat(15.0f)) + magic;
            vi q = (vi)v - (vi)magic;
            memcpy(level + i, &q, VB);
        }
        for (int i = 0; i < GROUP; i++) {
            uint8_t q = (uint8_t)level[i];
            uint8_t *byte = unit + i / 8 * 64 + 4 * lane + i % 4;
            *byte = (uint8_t)(i % 8 < 4 ? q : *byte | q << 4);
        }
    }
    return error;
}

#endif
