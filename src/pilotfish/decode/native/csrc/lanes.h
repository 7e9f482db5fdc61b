/* Sixteen rows side by side: integer sums and floats, one lane a row, for packed weights.
 *
 * `dot8` adds to each lane the dot product of its four weight bytes with four activation bytes. Weight bytes are unsigned
 * (AVX-512 VNNI multiplies unsigned by signed): int8 weights are stored as w + 128, and sums start at -128 times the sum
 * of the activations (`start8`), where the CPU needs that.
 */
#ifndef PF_LANES_H
#define PF_LANES_H

#include "simd.h"

#if defined(PF_AVX512) && defined(__AVX512VNNI__)

typedef __m512i ints;
typedef __m512i bytes;
typedef __m512 floats;
INLINE ints start8(int32_t total) { return _mm512_set1_epi32(-128 * total); }
INLINE ints start4(void) { return _mm512_setzero_si512(); }
INLINE bytes load_bytes(const uint8_t *p) { return _mm512_loadu_si512(p); }
INLINE bytes low_nibbles(bytes b) { return _mm512_and_si512(b, _mm512_set1_epi8(15)); }
INLINE bytes high_nibbles(bytes b) { return low_nibbles(_mm512_srli_epi16(b, 4)); }
INLINE ints dot8(ints sum, bytes w, int32_t x) { return _mm512_dpbusd_epi32(sum, w, _mm512_set1_epi32(x)); }
INLINE ints dot4(ints sum, bytes w, int32_t x) { return dot8(sum, w, x); }
INLINE floats to_floats(ints a) { return _mm512_cvtepi32_ps(a); }
INLINE floats all(float x) { return _mm512_set1_ps(x); }
INLINE floats load16(const float *p) { return _mm512_loadu_ps(p); }
INLINE void store16(float *p, floats v) { _mm512_storeu_ps(p, v); }
INLINE floats halves(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
INLINE floats mul(floats a, floats b) { return _mm512_mul_ps(a, b); }
INLINE floats fma16(floats a, floats b, floats c) { return _mm512_fmadd_ps(a, b, c); }

#elif (defined(PF_AVX512) || defined(PF_AVX2)) && defined(__F16C__)

typedef struct { __m256i a, b; } ints;
typedef struct { __m256i a, b; } bytes;
typedef struct { __m256 a, b; } floats;
INLINE ints start8(int32_t total) {
    (void)total;
    return (ints){_mm256_setzero_si256(), _mm256_setzero_si256()};
}
INLINE ints start4(void) { return start8(0); }
INLINE bytes load_bytes(const uint8_t *p) {
    return (bytes){_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)(p + 32))};
}
INLINE bytes low_nibbles(bytes w) {
    __m256i mask = _mm256_set1_epi8(15);
    return (bytes){_mm256_and_si256(w.a, mask), _mm256_and_si256(w.b, mask)};
}
INLINE bytes high_nibbles(bytes w) {
    return low_nibbles((bytes){_mm256_srli_epi16(w.a, 4), _mm256_srli_epi16(w.b, 4)});
}
/* maddubs saturates at 16 bits: 2 x 127 x 127 and 2 x 15 x 127 stay below, so signs move to the activations. */
INLINE __m256i dot8_half(__m256i sum, __m256i w, __m256i x) {
    w = _mm256_xor_si256(w, _mm256_set1_epi8((char)128));
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
INLINE __m256i dot4_half(__m256i sum, __m256i w, __m256i x) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1)));
}
INLINE ints dot8(ints sum, bytes w, int32_t x) {
    __m256i v = _mm256_set1_epi32(x);
    return (ints){dot8_half(sum.a, w.a, v), dot8_half(sum.b, w.b, v)};
}
INLINE ints dot4(ints sum, bytes w, int32_t x) {
    __m256i v = _mm256_set1_epi32(x);
    return (ints){dot4_half(sum.a, w.a, v), dot4_half(sum.b, w.b, v)};
}
INLINE floats to_floats(ints a) { return (floats){_mm256_cvtepi32_ps(a.a), _mm256_cvtepi32_ps(a.b)}; }
INLINE floats all(float x) { return (floats){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
INLINE floats load16(const float *p) { return (floats){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
INLINE void store16(float *p, floats v) {
    _mm256_storeu_ps(p, v.a);
    _mm256_storeu_ps(p + 8, v.b);
}
INLINE floats halves(const uint16_t *p) {
    return (floats){_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
                    _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8)))};
}
INLINE floats mul(floats a, floats b) { return (floats){_mm256_mul_ps(a.a, b.a), _mm256_mul_ps(a.b, b.b)}; }
INLINE floats fma16(floats a, floats b, floats c) {
    return (floats){_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b)};
}

#else /* any CPU: plain loops, which compilers turn into what vectors there are */

typedef struct { int32_t i[16]; } ints;
typedef struct { uint8_t i[64]; } bytes;
typedef struct { float i[16]; } floats;
#define EACH for (int r = 0; r < 16; r++)
INLINE ints start8(int32_t total) {
    ints a;
    EACH a.i[r] = -128 * total;
    return a;
}
INLINE ints start4(void) { return start8(0); }
INLINE bytes load_bytes(const uint8_t *p) {
    bytes b;
    memcpy(b.i, p, 64);
    return b;
}
INLINE bytes low_nibbles(bytes b) {
    for (int i = 0; i < 64; i++) b.i[i] &= 15;
    return b;
}
INLINE bytes high_nibbles(bytes b) {
    for (int i = 0; i < 64; i++) b.i[i] >>= 4;
    return b;
}
INLINE ints dot8(ints sum, bytes w, int32_t x) {
    int8_t v[4];
    memcpy(v, &x, 4);
    EACH for (int j = 0; j < 4; j++) sum.i[r] += (int32_t)w.i[4 * r + j] * v[j];
    return sum;
}
INLINE ints dot4(ints sum, bytes w, int32_t x) { return dot8(sum, w, x); }
INLINE floats to_floats(ints a) {
    floats f;
    EACH f.i[r] = (float)a.i[r];
    return f;
}
INLINE floats all(float x) {
    floats f;
    EACH f.i[r] = x;
    return f;
}
INLINE floats load16(const float *p) {
    floats f;
    memcpy(f.i, p, 64);
    return f;
}
INLINE void store16(float *p, floats v) { memcpy(p, v.i, 64); }
INLINE float half_float(uint16_t h) {
    union { uint32_t u; float f; } x = {(uint32_t)(h & 0x7fff) << 13};
    x.f *= 5.192296858534828e33f; /* 2^112: the exponents' biases apart */
    x.u |= (uint32_t)(h & 0x8000) << 16;
    return x.f;
}
INLINE floats halves(const uint16_t *p) {
    floats f;
    EACH f.i[r] = half_float(p[r]);
    return f;
}
INLINE floats mul(floats a, floats b) {
    EACH a.i[r] *= b.i[r];
    return a;
}
INLINE floats fma16(floats a, floats b, floats c) {
    EACH c.i[r] += a.i[r] * b.i[r];
    return c;
}

#endif
#endif
