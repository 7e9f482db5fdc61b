/* From (n, k) float32 or bfloat16 weights to the packed forms of quant.h. */
#ifndef PF_PACK_H
#define PF_PACK_H

#include "quant.h"

static void read_row(const void *w, int64_t kind, int64_t k, int64_t row, int64_t n, float *out, int64_t padded) {
    for (int64_t i = 0; i < padded; i++)
        out[i] = row >= n || i >= k         ? 0.0f
                 : kind == FLOAT32          ? ((const float *)w)[row * k + i]
                                            : bf_float(((const uint16_t *)w)[row * k + i]);
}

#endif
