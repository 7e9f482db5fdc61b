/* The model as Python describes it: the same structures, field by field, stand in `_structs.py`. */
#ifndef PF_MODEL_H
#define PF_MODEL_H

#include <stdint.h>

enum { FLOAT32 = 0, BFLOAT16 = 1, INT8 = 2, INT4 = 3, SHORT = 4 };

/* A weight that its linear's packed form leaves out. */
typedef struct {
    int32_t row, column;
    float weight;
} Miss;

/* y = x W^T + b. FLOAT32, BFLOAT16: w is (n, k), row after row. INT8, INT4: packed by pack.h.
 * SHORT: bfloat16 in 12 bits, short.h. */
typedef struct {
    const void *w;
    const float *scale; /* INT8: one a row, padded to a multiple of 16 */
    const float *bias;  /* n, or NULL */
    int64_t n, k;
    int64_t kind;
    const Miss *misses; /* SHORT: by row and column */
    int64_t miss_count;
} Linear;

/* RMSNorm, or LayerNorm where centred; w NULL: no norm here. */
typedef struct {
    const float *w;
    const float *b;
    double eps;
    int64_t centred;
} Norm;

typedef struct {
    Norm attention, q_norm, k_norm, post_attention, mlp, post_mlp;
    Linear q, k, v, o, gate, up, down; /* gate.w NULL: the MLP is not gated */
    int64_t window, rope;
} Layer;

typedef struct {
    int64_t width, heads, kv_heads, head_dim, value_dim, inner, vocabulary, layers;
    int64_t gelu;  /* 1: gelu by tanh; 0: silu */
    int64_t cache; /* FLOAT32 or BFLOAT16 */
    double attention_scale, embedding_scale;
    const void *embedding; /* (vocabulary, width) */
    const void *positions; /* (length, width), or NULL */
    int64_t embedding_kind, positions_kind;
    const float *const *ropes; /* each: positions x (head_dim / 2 cosines, then as many sines) */
    const Layer *layer;
    Norm final;
    Linear head;
    const int64_t *exits;
    int64_t exit_count;
} Model;

/* One row's part in a step: `n` new tokens after `length` that its cache holds.
 *
 * keys: (layers, kv_heads, capacity / 16, head_dim, 16) floats, or (.., head_dim / 2, 16, 2) bfloat16s.
 * values: (layers, kv_heads, capacity, value_dim), value_dim being head_dim rounded up to 32.
 * mask: (n, n) bytes, 1 where token i sees token j of this step, or NULL (all before it and itself).
 */
typedef struct {
    char *keys, *values;
    int64_t capacity, length, n;
    const int32_t *tokens;
    const int32_t *places; /* their positions */
    const uint8_t *mask;
    int64_t first_logits; /* logits are wanted from this token on */
} Row;

#endif
