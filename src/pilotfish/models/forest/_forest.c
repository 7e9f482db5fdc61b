/* Walk every row down every tree. A node's children stand behind it, so each walk ends. */
#include <math.h>
#include <stdint.h>

enum { MISSING_LEFT = 1, CATEGORICAL = 2, LISTED_RIGHT = 4 };

typedef struct {
    double threshold, value;
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
