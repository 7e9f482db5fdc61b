/* One vector register of floats, written once for every CPU with the compiler's own vector types.
 *
 * W lanes: 16 with AVX-512, 8 with AVX2, else 4 (SSE2, NEON). Only what the compiler does not find by itself is spelled
 * in intrinsics.
 */
#ifndef PF_SIMD_H
#define PF_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#define PF_AVX512 1
#define W 16
#elif defined(__AVX2__) && defined(__FMA__)
#define PF_AVX2 1
#define W 8
#else
#define W 4
#endif

#define VB (4 * W) /* bytes of a register */
#define INLINE static inline __attribute__((always_inline))

typedef float vf __attribute__((vector_size(VB)));
typedef int32_t vi __attribute__((vector_size(VB)));
typedef uint32_t vu __attribute__((vector_size(VB)));
typedef float vf_at __attribute__((vector_size(VB), aligned(4), may_alias));
typedef uint32_t vu_at __attribute__((vector_size(VB), aligned(2), may_alias));

INLINE vf load(const float *p) { return *(const vf_at *)p; }
INLINE void store(float *p, vf v) { *(vf_at *)p = v; }
INLINE vu load_raw(const char *p) { return *(const vu_at *)p; }

INLINE vf splat(float x) {
#if W == 16
    return (vf){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
#elif W == 8
    return (vf){x, x, x, x, x, x, x, x};
#else
    return (vf){x, x, x, x};
#endif
}

INLINE vf pick(vi mask, vf yes, vf no) { return (vf)((mask & (vi)yes) | (~mask & (vi)no)); }
INLINE vf vmax(vf a, vf b) { return pick(a > b, a, b); }
INLINE vf vmin(vf a, vf b) { return pick(a < b, a, b); }

/* Sums by halves: the same order everywhere, so that a sum does not depend on who asks for it. */
INLINE float hsum(vf v) {
    float a[W];
    store(a, v);
#pragma GCC unroll 4
    for (int half = W / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) a[i] += a[i + half];
    return a[0];
}

INLINE float hmax(vf v) {
    float a[W], top;
    store(a, v);
    top = a[0];
    for (int i = 1; i < W; i++) top = a[i] > top ? a[i] : top;
    return top;
}

/* bfloat16 is the upper half of a float: one register of raw words holds 2 W of them, even ones in the low halves. */
INLINE vf bf_even(vu raw) { return (vf)(raw << 16); }
INLINE vf bf_odd(vu raw) { return (vf)(raw & 0xffff0000u); }
INLINE float bf_float(uint16_t h) {
    union { uint32_t u; float f; } x = {(uint32_t)h << 16};
    return x.f;
}
/* Round to nearest, ties to even. */
INLINE uint16_t float_bf(float f) {
    union { float f; uint32_t u; } x = {f};
    if ((x.u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((x.u >> 16) | 64); /* not a number stays one */
    return (uint16_t)((x.u + 0x7fffu + ((x.u >> 16) & 1)) >> 16);
}

/* e^x to about 1 ulp (range reduction by ln 2 in two parts, polynomial of degree 6); 0 below -87.3. */
INLINE vf vexp(vf x) {
    const vf magic = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    vf in = x;
    x = vmin(vmax(x, splat(-87.3f)), splat(88.3f));
    vf n = x * splat(1.44269504088896341f) + magic;
    vi e = (vi)n << 23;
    n -= magic;
    vf r = x - n * splat(0.693359375f);
    r = r - n * splat(-2.12194440e-4f);
    vf p = splat(1.9875691500e-4f);
    p = p * r + splat(1.3981999507e-3f);
    p = p * r + splat(8.3334519073e-3f);
    p = p * r + splat(4.1665795894e-2f);
    p = p * r + splat(1.6666665459e-1f);
    p = p * r + splat(5.0000001201e-1f);
    p = p * (r * r) + r + splat(1.0f);
    p = (vf)((vi)p + e);
    return (vf)((vi)p & ~(in < splat(-87.3f)));
}

#endif
