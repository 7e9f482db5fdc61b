/* Walk every row down every tree. A node's children stand behind it, so each walk ends. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MISSING_LEFT = 1, CATEGORICAL = 2, LISTED_RIGHT = 4 };

typedef struct {
    double threshold, value, cover;
    int32_t feature, left, right, set, words, flags;
} node;

static inline int goes_left(const node *at, const uint32_t *sets, double x) {
    if (isnan(x)) return at->flags & MISSING_LEFT;
    if (!(at->flags & CATEGORICAL)) return x <= at->threshold;
    int listed = 0;
    if (x >= 0 && x < 32.0 * at->words) {
        uint32_t code = (uint32_t)x;
        listed = (sets[at->set + code / 32] >> (code % 32)) & 1;
    }
    return at->flags & LISTED_RIGHT ? !listed : listed;
}

void pf_forest(const node *nodes, const uint32_t *sets, const int32_t *roots, const int32_t *outputs, int64_t trees,
               const double *x, int64_t rows, int64_t columns, int single, double *out, int64_t width) {
    for (int64_t row = 0; row < rows; row++) {
        const double *own = x + row * columns;
        double *sums = out + row * width;
        for (int64_t tree = 0; tree < trees; tree++) {
            const node *at = nodes + roots[tree];
            while (at->left >= 0) {
                double value = own[at->feature];
                if (single) value = (float)value;
                at = nodes + (goes_left(at, sets, value) ? at->left : at->right);
            }
            sums[outputs[tree]] += at->value;
        }
    }
}

/* Exact Shapley values of the expectation that follows the trees' own covers: Lundberg et al. 2020, algorithm 2. Of each
   way down a tree it is kept which columns decided so far, how much of the rows went that way without them (zero) and
   whether this row does (one), and the weights of all subsets of those columns by their size. */
typedef struct {
    double zero, one, weight;
    int32_t feature;
} step;

static void extend(step *path, int depth, double zero, double one, int32_t feature) {
    path[depth] = (step){zero, one, depth == 0 ? 1.0 : 0.0, feature};
    for (int i = depth - 1; i >= 0; i--) {
        path[i + 1].weight += one * path[i].weight * (i + 1) / (depth + 1);
        path[i].weight = zero * path[i].weight * (depth - i) / (depth + 1);
    }
}

static void unwind(step *path, int depth, int at) {
    double one = path[at].one, zero = path[at].zero, next = path[depth].weight;
    for (int i = depth - 1; i >= 0; i--) {
        if (one != 0) {
            double before = path[i].weight;
            path[i].weight = next * (depth + 1) / ((i + 1) * one);
            next = before - path[i].weight * zero * (depth - i) / (depth + 1);
        } else {
            path[i].weight = path[i].weight * (depth + 1) / (zero * (depth - i));
        }
    }
    for (int i = at; i < depth; i++) {
        path[i].feature = path[i + 1].feature;
        path[i].zero = path[i + 1].zero;
        path[i].one = path[i + 1].one;
    }
}

static double unwound(const step *path, int depth, int at) {
    double one = path[at].one, zero = path[at].zero, next = path[depth].weight, total = 0;
    for (int i = depth - 1; i >= 0; i--) {
        if (one != 0) {
            double own = next * (depth + 1) / ((i + 1) * one);
            total += own;
            next = path[i].weight - own * zero * (depth - i) / (depth + 1);
        } else {
            total += path[i].weight * (depth + 1) / (zero * (depth - i));
        }
    }
    return total;
}

typedef struct {
    const node *nodes;
    const uint32_t *sets;
    const double *row;
    double *shares;
    int64_t width;
    int32_t output;
    int single;
} descent;

static void descend(const descent *d, int32_t at, step *path, int depth, double zero, double one, int32_t feature) {
    extend(path, depth, zero, one, feature);
    const node *here = d->nodes + at;
    if (here->left < 0) {
        for (int i = 1; i <= depth; i++) {
            double weight = unwound(path, depth, i);
            d->shares[path[i].feature * d->width + d->output] += weight * (path[i].one - path[i].zero) * here->value;
        }
        return;
    }
    double value = d->row[here->feature];
    if (d->single) value = (float)value;
    int left = goes_left(here, d->sets, value);
    int32_t hot = left ? here->left : here->right, cold = left ? here->right : here->left;
    double hot_share = d->nodes[hot].cover / here->cover, cold_share = d->nodes[cold].cover / here->cover;
    double zeros = 1, ones = 1;
    int i = 1;
    while (i <= depth && path[i].feature != here->feature) i++;
    if (i <= depth) { /* the column decided further up: what it decides is one thing */
        zeros = path[i].zero;
        ones = path[i].one;
        unwind(path, depth, i);
        depth--;
    }
    step *next = path + depth + 1;
    if (hot_share > 0) {
        memcpy(next, path, (depth + 1) * sizeof(step));
        descend(d, hot, next, depth + 1, zeros * hot_share, ones, here->feature);
    }
    if (cold_share > 0) {
        memcpy(next, path, (depth + 1) * sizeof(step));
        descend(d, cold, next, depth + 1, zeros * cold_share, 0, here->feature);
    }
}

int pf_shares(const node *nodes, const uint32_t *sets, const int32_t *roots, const int32_t *outputs, int64_t trees,
              int64_t deepest, const double *x, int64_t rows, int64_t columns, int single, double *shares,
              int64_t width) {
    step *room = malloc((deepest + 3) * (deepest + 4) / 2 * sizeof(step) + sizeof(step));
    if (!room) return -1;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t tree = 0; tree < trees; tree++) {
            descent d = {nodes, sets, x + row * columns, shares + row * columns * width, width, outputs[tree], single};
            descend(&d, roots[tree], room, 0, 1, 1, -1);
        }
    free(room);
    return 0;
}
