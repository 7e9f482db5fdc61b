/* A linear layer of any kind, or several that read the same activations, shared among the threads by units of rows. */
#ifndef PF_LINEAR_H
#define PF_LINEAR_H

#include "dot.h"
#include "quant.h"
#include "short.h"
#include "team.h"

#define UNIT 16
#define BLOCK_BYTES (512 * 1024) /* activations that stay in the second-level cache while all weights pass by */

/* Bytes of working memory that a thread needs for linears of at most `k` inputs. */
INLINE int64_t room_bytes(int64_t k) { return SHORT_ROWS * pad64(k) * 2; }

static void rows(const Linear *l, const Act *act, int64_t m, float *y, int64_t ldy, int add, int64_t from, int64_t to,
                 char *room) {
    int64_t size = act->kind == INT8 ? 1 : act->kind == BFLOAT16 ? 2 : 4;
    int64_t block = BLOCK_BYTES / (act->stride * size);
    if (block < 24) block = 24;
    for (int64_t t = 0; t < m; t += block) {
        int64_t n = m - t < block ? m - t : block;
        switch (l->kind) {
        case FLOAT32: rows_float32(l, act, t, n, y, ldy, add, from, to); break;
        case BFLOAT16: rows_bfloat16(l, act, t, n, y, ldy, add, from, to); break;
        case SHORT: rows_short(l, act, t, n, y, ldy, add, from, to, room); break;
        case INT8: rows_int8(l, act, t, n, y, ldy, add, from, to); break;
        default: rows_int4(l, act, t, n, y, ldy, add, from, to); break;
        }
    }
}

/* Run `count` linears of the same input; each thread takes its part of all their units. */
static void linears(const Team *team, const Linear *const *list, float *const *y, const int64_t *ldy, int count,
                    const Act *act, int64_t m, int add) {
    int64_t total = 0, from, to, start = 0;
    for (int i = 0; i < count; i++) total += (list[i]->n + UNIT - 1) / UNIT;
    part(team, total, &from, &to);
    for (int i = 0; i < count; i++) {
        int64_t units = (list[i]->n + UNIT - 1) / UNIT;
        int64_t a = from > start ? from - start : 0, b = to - start < units ? to - start : units;
        if (a < b) {
            int64_t last = b * UNIT < list[i]->n ? b * UNIT : list[i]->n;
            rows(list[i], act, m, y[i], ldy[i], add, a * UNIT, last, team->room);
        }
        start += units;
    }
}

static void linear(const Team *team, const Linear *l, const Act *act, int64_t m, float *y, int64_t ldy, int add) {
    linears(team, &l, &y, &ldy, 1, act, m, add);
}

#endif
