/* Norms, rotations and activation functions of one token, in float32. */
#ifndef PF_NORM_H
#define PF_NORM_H

#include "model.h"
#include "simd.h"

static void normalise(const Norm *norm, const float *x, int64_t n, float *out) {
    double mean = 0.0, square = 0.0;
    if (norm->centred) {
        for (int64_t i = 0; i < n; i++) mean += x[i];
        mean /= (double)n;
    }
    vf sum = splat(0.0f);
    float shift = (float)mean;
    int64_t i = 0;
    for (; i + W <= n; i += W) {
        vf v = load(x + i) - splat(shift);
        sum += v * v;
    }
    square = hsum(sum);
    for (; i < n; i++) square += (x[i] - shift) * (x[i] - shift);
    float scale = 1.0f / sqrtf((float)(square / (double)n) + (float)norm->eps);
    for (i = 0; i + W <= n; i += W) {
        vf v = (load(x + i) - splat(shift)) * splat(scale) * load(norm->w + i);
        store(out + i, norm->b ? v + load(norm->b + i) : v);
    }
    for (; i < n; i++) out[i] = (x[i] - shift) * scale * norm->w[i] + (norm->b ? norm->b[i] : 0.0f);
}

/* Rotate a head by its position, first half against second half. `table`: head_dim / 2 cosines, then sines. */
static void rotate(float *x, const float *table, int64_t head_dim) {
    int64_t half = head_dim / 2, i = 0;
    for (; i + W <= half; i += W) {
        vf a = load(x + i), b = load(x + half + i), c = load(table + i), s = load(table + half + i);
        store(x + i, a * c - b * s);
        store(x + half + i, b * c + a * s);
    }
    for (; i < half; i++) {
        float a = x[i], b = x[half + i], c = table[i], s = table[half + i];
        x[i] = a * c - b * s;
        x[half + i] = b * c + a * s;
    }
}

INLINE vf activate(vf x, int gelu) {
    /* gelu by tanh: x (1 + tanh z) / 2 = x / (1 + e^-2z), so both are x times a logistic. */
    vf z = gelu ? x * (splat(1.5957691216057308f) + splat(0.07135481282640193f) * (x * x)) : x;
    return x / (splat(1.0f) + vexp(-z));
}

/* out = activation(gate) * up, or activation(up) where gate is NULL, elements [from, to). */
static void activation(const float *gate, const float *up, float *out, int64_t from, int64_t to, int gelu) {
    const float *inner = gate ? gate : up;
    int64_t i = from;
    for (; i + W <= to; i += W) {
        vf v = activate(load(inner + i), gelu);
        store(out + i, gate ? v * load(up + i) : v);
    }
    if (i < to) {
        float a[W] = {0}, b[W] = {0};
        memcpy(a, inner + i, (size_t)(to - i) * 4);
        memcpy(b, up + i, (size_t)(to - i) * 4);
        vf v = activate(load(a), gelu);
        store(a, gate ? v * load(b) : v);
        memcpy(out + i, a, (size_t)(to - i) * 4);
    }
}

#endif
