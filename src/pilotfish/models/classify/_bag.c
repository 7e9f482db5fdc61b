/* Steps of stochastic gradient descent on the mean of a text's vectors and a softmax over it, one text a step.
 *
 * `bag.py` does the same in numpy, and a test compares the two.
 */
#include <math.h>
#include <stdint.h>

/* column, starts: the vectors of text i are column[starts[i] : starts[i + 1]], each once.
 * order: the text of each of `steps` steps; the rate falls from `rate` to 0 over them.
 * targets: (texts, classes) what each class counts; a text's counts need not sum to 1.
 * vectors: (columns, width) and output: (classes, width), both learnt in place.
 * scratch: room for 2 * width + classes numbers.
 */
void pf_bag(const int64_t *column, const int64_t *starts, const int64_t *order, int64_t steps, const float *targets,
            int64_t classes, int64_t width, float rate, float *vectors, float *output, float *scratch) {
    float *mean = scratch, *back = scratch + width, *p = scratch + 2 * width;
    for (int64_t step = 0; step < steps; step++) {
        int64_t text = order[step], count = starts[text + 1] - starts[text];
        const int64_t *own = column + starts[text];
        const float *target = targets + text * classes;
        float now = (float)(rate * (1.0 - (double)step / (double)steps));
        if (!count) continue;
        for (int64_t j = 0; j < width; j++) mean[j] = back[j] = 0;
        for (int64_t i = 0; i < count; i++) {
            const float *vector = vectors + own[i] * width;
#pragma omp simd
            for (int64_t j = 0; j < width; j++) mean[j] += vector[j];
        }
        for (int64_t j = 0; j < width; j++) mean[j] /= (float)count;
        float top = -INFINITY, sum = 0, whole = 0;
        for (int64_t c = 0; c < classes; c++) {
            const float *weight = output + c * width;
            float logit = 0;
#pragma omp simd reduction(+ : logit)
            for (int64_t j = 0; j < width; j++) logit += weight[j] * mean[j];
            p[c] = logit;
            if (logit > top) top = logit;
            whole += target[c];
        }
        for (int64_t c = 0; c < classes; c++) sum += p[c] = expf(p[c] - top);
        for (int64_t c = 0; c < classes; c++) {
            float slope = now * (target[c] - whole * p[c] / sum);
            float *weight = output + c * width;
#pragma omp simd
            for (int64_t j = 0; j < width; j++) {
                back[j] += slope * weight[j];
                weight[j] += slope * mean[j];
            }
        }
        /* Of the mean each vector is one part in `count`. */
        for (int64_t j = 0; j < width; j++) back[j] /= (float)count;
        for (int64_t i = 0; i < count; i++) {
            float *vector = vectors + own[i] * width;
#pragma omp simd
            for (int64_t j = 0; j < width; j++) vector[j] += back[j];
        }
    }
}
