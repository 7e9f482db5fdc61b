/* Late interaction on a CPU: sums of best matches, the nearest centroid of each vector, and a whole search in one call.

   Every product is made row by row, in one order of additions, whatever stands in the same batch: what is computed for
   a document never depends on its neighbours, so an index that grew gives what one built at once gives.
   `_search.py` and `codec.py` do the same with numpy. */

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define VEC 16
#define ROWS 12
#else
#define VEC 8
#define ROWS 6
#endif
#define LANES (2 * VEC)
#define BLOCK 2048 /* vectors whose centroids are sought together */
#define MOST_THREADS 64

typedef float vec __attribute__((vector_size(VEC * 4)));
typedef float vec_anywhere __attribute__((vector_size(VEC * 4), aligned(4)));

static inline vec load(const float *from) { return *(const vec_anywhere *)from; }
static inline void store(float *to, vec what) { *(vec_anywhere *)to = what; }

/* out (ROWS, LANES) = rows (ROWS, d) . panel (d, LANES) */
static inline __attribute__((always_inline)) void tile(
    const float *const *rows, int64_t d, const float *panel, float *out) {
    vec sums[ROWS][2];
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++) sums[i][0] = sums[i][1] = (vec){0};
    for (int64_t j = 0; j < d; j++) {
        vec low = load(panel + j * LANES), high = load(panel + j * LANES + VEC);
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; i++) {
            vec one = rows[i][j] - (vec){0}; /* to all lanes */
            sums[i][0] += one * low;
            sums[i][1] += one * high;
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++) {
        store(out + i * LANES, sums[i][0]);
        store(out + i * LANES + VEC, sums[i][1]);
    }
}

/* ---- threads ---- */

typedef void (*Work)(void *what, int thread, int threads);
typedef struct { Work work; void *what; int thread, threads; } Hand;

static void *handed(void *given) {
    Hand *hand = given;
    hand->work(hand->what, hand->thread, hand->threads);
    return NULL;
}

static void together(int threads, Work work, void *what) {
    pthread_t made[MOST_THREADS];
    Hand hands[MOST_THREADS];
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    int running[MOST_THREADS] = {0};
    for (int i = 0; i < threads; i++) hands[i] = (Hand){work, what, i, threads};
    for (int i = 1; i < threads; i++) running[i] = pthread_create(&made[i], NULL, handed, &hands[i]) == 0;
    handed(&hands[0]);
    for (int i = 1; i < threads; i++) {
        if (running[i]) pthread_join(made[i], NULL);
        else handed(&hands[i]); /* no thread was to be had: its share is done here */
    }
}

static inline int64_t share(int64_t n, int thread, int threads) { return n * thread / threads; }

/* ---- query panels ---- */

/* (n, d) rows as panels (ceil(n / LANES), d, LANES), zeros where there are none */
static float *panels_of(const float *rows, int64_t n, int64_t d, int64_t *count) {
    *count = (n + LANES - 1) / LANES;
    float *panels = calloc((size_t)(*count ? *count : 1) * d * LANES, sizeof *panels);
    if (!panels) return NULL;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) panels[(i / LANES * d + j) * LANES + i % LANES] = rows[i * d + j];
    return panels;
}

static inline void raise_to(float *best, const float *found) {
    for (int l = 0; l < LANES; l++) best[l] = best[l] > found[l] ? best[l] : found[l];
}

/* ---- exact sums of best matches ---- */

typedef struct {
    const float *panels, *vectors;
    const int64_t *starts;
    int64_t n_panels, n_query, d, n;
    float *out;
    int failed;
} MaxSim;

static void maxsim_share(void *what, int thread, int threads) {
    MaxSim *job = what;
    float *best = malloc((size_t)(job->n_panels + 1) * LANES * sizeof *best);
    float found[ROWS * LANES];
    const float *rows[ROWS];
    if (!best) { job->failed = 1; return; }
    for (int64_t i = share(job->n, thread, threads); i < share(job->n, thread + 1, threads); i++) {
        int64_t first = job->starts[i], end = job->starts[i + 1];
        for (int64_t l = 0; l < job->n_panels * LANES; l++) best[l] = -INFINITY;
        for (int64_t t = first; t < end; t += ROWS) {
            for (int r = 0; r < ROWS; r++) rows[r] = job->vectors + (t + r < end ? t + r : t) * job->d;
            for (int64_t p = 0; p < job->n_panels; p++) {
                tile(rows, job->d, job->panels + p * job->d * LANES, found);
                for (int r = 0; r < ROWS; r++) raise_to(best + p * LANES, found + r * LANES);
            }
        }
        float sum = 0;
        for (int64_t l = 0; l < job->n_query; l++) sum += best[l];
        job->out[i] = first < end ? sum : -INFINITY;
    }
    free(best);
}

int pf_late_maxsim(const float *query, int64_t n_query, int64_t d, const float *vectors, const int64_t *starts,
                   int64_t n, float *out, int threads) {
    MaxSim job = {.vectors = vectors, .starts = starts, .n_query = n_query, .d = d, .n = n, .out = out};
    float *panels = panels_of(query, n_query, d, &job.n_panels);
    if (!panels) return -1;
    job.panels = panels;
    together(threads, maxsim_share, &job);
    free(panels);
    return job.failed ? -1 : 0;
}

/* ---- the nearest centroid ---- */

/* Centroids in groups; a group's are in panels (d, LANES), a last one filled up with its first centroid again. */
typedef struct {
    const float *heads;        /* (head_panels, d, LANES): the groups' middles; none for one group */
    int64_t head_panels, groups, probed;
    const int64_t *starts;     /* (groups + 1) in panels */
    const float *panels;
    const int32_t *ids;        /* (panels, LANES) */
    int64_t d;
} Cells;

typedef struct { const Cells *cells; const float *vectors; int64_t n; int32_t *out; int failed; } Assign;

/* The groups of each vector of a block, best first: (n, probed). */
static void heads_of(const Cells *cells, const float *block, int64_t n, int32_t *wanted, float *held) {
    const float *rows[ROWS];
    float found[ROWS * LANES];
    int64_t probed = cells->probed;
    for (int64_t t = 0; t < n; t += ROWS) {
        int real = n - t < ROWS ? (int)(n - t) : ROWS;
        for (int r = 0; r < ROWS; r++) rows[r] = block + (t + (r < real ? r : 0)) * cells->d;
        for (int64_t i = 0; i < ROWS * probed; i++) held[i] = -INFINITY;
        for (int64_t p = 0; p < cells->head_panels; p++) {
            tile(rows, cells->d, cells->heads + p * cells->d * LANES, found);
            int64_t real_lanes = cells->groups - p * LANES < LANES ? cells->groups - p * LANES : LANES;
            for (int r = 0; r < real; r++) {
                float *mine = held + r * probed;
                int32_t *ids = wanted + (t + r) * probed;
                for (int64_t l = 0; l < real_lanes; l++) {
                    float score = found[r * LANES + l];
                    if (score <= mine[probed - 1]) continue;
                    int64_t at = probed - 1;
                    for (; at > 0 && mine[at - 1] < score; at--) mine[at] = mine[at - 1], ids[at] = ids[at - 1];
                    mine[at] = score;
                    ids[at] = (int32_t)(p * LANES + l);
                }
            }
        }
    }
}

static void assign_share(void *what, int thread, int threads) {
    Assign *job = what;
    const Cells *cells = job->cells;
    int64_t probed = cells->probed, d = cells->d;
    int32_t *wanted = malloc((size_t)BLOCK * probed * sizeof *wanted);
    int32_t *sorted = malloc((size_t)BLOCK * probed * sizeof *sorted);
    int64_t *ends = malloc((size_t)(cells->groups + 1) * sizeof *ends);
    float *held = malloc((size_t)ROWS * probed * sizeof *held), *best = malloc(BLOCK * sizeof *best);
    const float *rows[ROWS];
    float found[ROWS * LANES];
    int64_t first = share(job->n, thread, threads), end = share(job->n, thread + 1, threads);
    if (!wanted || !sorted || !ends || !held || !best) { job->failed = 1; first = end; }
    for (int64_t at = first; at < end; at += BLOCK) {
        int64_t n = end - at < BLOCK ? end - at : BLOCK;
        const float *block = job->vectors + at * d;
        int32_t *out = job->out + at;
        if (cells->groups > 1) heads_of(cells, block, n, wanted, held);
        else memset(wanted, 0, (size_t)n * probed * sizeof *wanted);
        memset(ends, 0, (size_t)(cells->groups + 1) * sizeof *ends);
        for (int64_t i = 0; i < n * probed; i++) ends[wanted[i] + 1]++;
        for (int64_t g = 0; g < cells->groups; g++) ends[g + 1] += ends[g];
        for (int64_t i = 0; i < n * probed; i++) sorted[ends[wanted[i]]++] = (int32_t)(i / probed);
        for (int64_t i = 0; i < n; i++) best[i] = -INFINITY, out[i] = INT32_MAX;
        for (int64_t g = 0, begin = 0; g < cells->groups; begin = ends[g++]) {
            for (int64_t p = cells->starts[g]; p < cells->starts[g + 1]; p++) {
                const int32_t *ids = cells->ids + p * LANES;
                for (int64_t t = begin; t < ends[g]; t += ROWS) {
                    int real = ends[g] - t < ROWS ? (int)(ends[g] - t) : ROWS;
                    for (int r = 0; r < ROWS; r++) rows[r] = block + (int64_t)sorted[t + (r < real ? r : 0)] * d;
                    tile(rows, d, cells->panels + p * d * LANES, found);
                    for (int r = 0; r < real; r++) {
                        const float *mine = found + r * LANES;
                        int32_t row = sorted[t + r];
                        float most = mine[0];
                        for (int l = 1; l < LANES; l++) most = most > mine[l] ? most : mine[l];
                        if (most < best[row]) continue;
                        for (int l = 0; l < LANES; l++) /* equal ones: the smaller number */
                            if (mine[l] == most && (most > best[row] || ids[l] < out[row])) best[row] = most, out[row] = ids[l];
                    }
                }
            }
        }
    }
    free(wanted), free(sorted), free(ends), free(held), free(best);
}

int pf_late_lanes(void) { return LANES; }

int pf_late_assign(const Cells *cells, const float *vectors, int64_t n, int32_t *out, int threads) {
    Assign job = {cells, vectors, n, out, 0};
    together(n < 2 * BLOCK ? 1 : threads, assign_share, &job);
    return job.failed ? -1 : 0;
}

void pf_late_sums(const float *vectors, int64_t n, int64_t d, const int32_t *labels, double *sums, int64_t *counts) {
    for (int64_t i = 0; i < n; i++) {
        double *sum = sums + (int64_t)labels[i] * d;
        counts[labels[i]]++;
        for (int64_t j = 0; j < d; j++) sum[j] += vectors[i * d + j];
    }
}

/* What is left of vectors beside their centroids, as buckets of `bits` bits, the first of a byte in its lowest. */
void pf_late_pack(const float *vectors, const int32_t *codes, int64_t n, int64_t d, const float *centroids,
                  const float *cuts, int bits, uint8_t *out) {
    int n_cuts = (1 << bits) - 1, each = 8 / bits;
    int64_t width = (d * bits + 7) / 8;
    for (int64_t i = 0; i < n; i++) {
        const float *row = vectors + i * d, *centroid = centroids + (int64_t)codes[i] * d;
        uint8_t *packed = out + i * width;
        for (int64_t j = 0; j < d; j += 64) {
            int64_t m = d - j < 64 ? d - j : 64;
            float rest[64];
            int32_t bucket[64] = {0};
            for (int64_t l = 0; l < m; l++) rest[l] = row[j + l] - centroid[j + l];
            for (int64_t l = m; l < 64; l++) rest[l] = -INFINITY;
            for (int c = 0; c < n_cuts; c++)
                for (int l = 0; l < 64; l++) bucket[l] += rest[l] > cuts[c];
            for (int64_t b = 0; b * each < m; b++) {
                int byte = 0;
                for (int e = 0; e < each; e++) byte |= bucket[b * each + e] << (e * bits);
                packed[j * bits / 8 + b] = (uint8_t)byte;
            }
        }
    }
}

/* ---- search ---- */

typedef struct {
    const void *codes;
    const uint8_t *residuals;
    const int64_t *starts;     /* (documents + 1) in tokens */
    const int32_t *cells;      /* the centroids that occur, rising */
    const int64_t *cell_starts;
    const int32_t *members;    /* documents of each of these, rising */
    int64_t n_cells, documents, first;
} Segment;

typedef struct {
    const float *centroids, *weights;
    int64_t n_centroids, d, n_segments, documents;
    const Segment *segments;
    int32_t bits, wide;        /* wide: codes are int32, else uint16 */
} Index;

typedef struct {
    int64_t k, probes, candidates;
    float threshold;
    int32_t threads;
    const uint8_t *alive;
    int64_t n_alive;
} Asked;

typedef struct { float score; int32_t id; } Probe;

typedef struct {
    const Index *index;
    const Asked *asked;
    const float *lut;          /* (256, 8 / bits) */
    const float *query;
    float *panels;
    int64_t n_query, n_panels, width;
    float scale;
    uint8_t *table;            /* (centroids, width) */
    Probe *probes;             /* (threads, n_query, probes) */
    int64_t *rows;             /* candidates, rising */
    int32_t *rough;
    float *exact;
    int64_t n, next;
    int failed;
} Query;

static inline int64_t code_at(const Segment *segment, int wide, int64_t token) {
    return wide ? ((const int32_t *)segment->codes)[token] : ((const uint16_t *)segment->codes)[token];
}

static void insert(Probe *held, int64_t most, float score, int32_t id) {
    int64_t at = most - 1;
    if (!(score > held[at].score)) return;
    for (; at > 0 && held[at - 1].score < score; at--) held[at] = held[at - 1];
    held[at] = (Probe){score, id};
}

/* How well each centroid matches each token of the query, in 8 bits, and each token's best centroids. */
static void centroids_share(void *what, int thread, int threads) {
    Query *q = what;
    const Index *index = q->index;
    int64_t d = index->d, most = q->asked->probes, end = share(index->n_centroids, thread + 1, threads);
    const float *rows[ROWS];
    float found[ROWS * LANES];
    Probe *held = q->probes + thread * q->n_query * most;
    float least[LANES];
    for (int64_t i = 0; i < q->n_query * most; i++) held[i] = (Probe){-INFINITY, -1};
    for (int64_t p = 0; p < q->n_panels; p++) {
        int64_t real = q->n_query - p * LANES < LANES ? q->n_query - p * LANES : LANES;
        for (int l = 0; l < LANES; l++) least[l] = l < real ? -INFINITY : INFINITY;
        for (int64_t c = share(index->n_centroids, thread, threads); c < end; c += ROWS) {
            int n = end - c < ROWS ? (int)(end - c) : ROWS;
            for (int r = 0; r < ROWS; r++) rows[r] = index->centroids + (c + (r < n ? r : 0)) * d;
            tile(rows, d, q->panels + p * d * LANES, found);
            for (int r = 0; r < n; r++) {
                const float *mine = found + r * LANES;
                uint8_t *to = q->table + (c + r) * q->width + p * LANES;
                int better = 0;
                for (int l = 0; l < LANES; l++) {
                    float x = mine[l] * q->scale + 0.5f;
                    x = x > 0 ? x : 0;
                    to[l] = (uint8_t)(int32_t)(x < 255 ? x : 255);
                    better |= mine[l] > least[l];
                }
                if (!better) continue;
                for (int64_t l = 0; l < real; l++) {
                    Probe *own = held + (p * LANES + l) * most;
                    insert(own, most, mine[l], (int32_t)(c + r));
                    least[l] = own[most - 1].score;
                }
            }
        }
    }
    if (q->asked->threshold > 0) {
        /* A centroid that no token of the query comes near counts for none of them. */
        int cut = (int)(q->asked->threshold * q->scale + 0.5f);
        for (int64_t c = share(index->n_centroids, thread, threads); c < end; c++) {
            uint8_t *row = q->table + c * q->width;
            int highest = 0;
            for (int64_t l = 0; l < q->n_query; l++) highest = highest > row[l] ? highest : row[l];
            if (highest < cut) memset(row, 0, (size_t)q->width);
        }
    }
}

static int64_t segment_of(const Index *index, int64_t row, int64_t from) {
    while (from + 1 < index->n_segments && index->segments[from + 1].first <= row) from++;
    return from;
}

static inline __attribute__((always_inline)) int32_t rough_score(
    const Query *q, const Segment *segment, int64_t document, int wide) {
    int64_t first = segment->starts[document], end = segment->starts[document + 1];
    int32_t sum = 0;
    for (int64_t b = 0; b < q->width; b += 32) {
        const uint8_t *table = q->table + b;
#if defined(__AVX2__)
        __m256i best = _mm256_setzero_si256();
        for (int64_t t = first; t < end; t++)
            best = _mm256_max_epu8(
                best, _mm256_loadu_si256((const __m256i *)(table + code_at(segment, wide, t) * q->width)));
        __m256i sums = _mm256_sad_epu8(best, _mm256_setzero_si256());
        int64_t four[4];
        _mm256_storeu_si256((__m256i *)four, sums);
        sum += (int32_t)(four[0] + four[1] + four[2] + four[3]);
#else
        uint8_t best[32] = {0};
        for (int64_t t = first; t < end; t++) {
            const uint8_t *row = table + code_at(segment, wide, t) * q->width;
            for (int l = 0; l < 32; l++) best[l] = best[l] > row[l] ? best[l] : row[l];
        }
        for (int l = 0; l < 32; l++) sum += best[l];
#endif
    }
    return sum;
}

static int64_t taken(Query *q, int64_t many, int64_t *end) {
    int64_t at = __atomic_fetch_add(&q->next, many, __ATOMIC_RELAXED);
    *end = at + many < q->n ? at + many : q->n;
    return at;
}

static void rough_share(void *what, int thread, int threads) {
    Query *q = what;
    (void)thread, (void)threads;
    int64_t end, at;
    while ((at = taken(q, 256, &end)) < q->n) {
        int64_t s = 0;
        for (; at < end; at++) {
            s = segment_of(q->index, q->rows[at], s);
            const Segment *segment = &q->index->segments[s];
            int64_t document = q->rows[at] - segment->first;
            q->rough[at] = q->index->wide ? rough_score(q, segment, document, 1) : rough_score(q, segment, document, 0);
        }
    }
}

/* A token as it was kept: centroid and residual; returns one over its length. */
static float restore(const Index *index, const float *lut, const Segment *segment, int64_t token, float *to) {
    int64_t d = index->d, width = (d * index->bits + 7) / 8;
    const float *centroid = index->centroids + code_at(segment, index->wide, token) * d;
    const uint8_t *packed = segment->residuals + token * width;
    switch (index->bits) {
    case 4: for (int64_t b = 0; b < width; b++) memcpy(to + 2 * b, lut + 2 * packed[b], 8); break;
    case 2: for (int64_t b = 0; b < width; b++) memcpy(to + 4 * b, lut + 4 * packed[b], 16); break;
    default: for (int64_t b = 0; b < width; b++) memcpy(to + 8 * b, lut + 8 * packed[b], 32);
    }
    vec sums = (vec){0};
    float square = 0;
    int64_t j = 0;
    for (; j + VEC <= d; j += VEC) {
        vec one = load(to + j) + load(centroid + j);
        store(to + j, one);
        sums += one * one;
    }
    for (int l = 0; l < VEC; l++) square += sums[l];
    for (; j < d; j++) to[j] += centroid[j], square += to[j] * to[j];
    float length = sqrtf(square);
    return 1 / (length > 1e-12f ? length : 1e-12f);
}

static void exact_share(void *what, int thread, int threads) {
    Query *q = what;
    const Index *index = q->index;
    (void)thread, (void)threads;
    int64_t d = index->d, stride = (d + 15) / 8 * 8, end, at;
    float *space = malloc((size_t)(ROWS * stride + (q->n_panels + 1) * LANES) * sizeof *space);
    float found[ROWS * LANES], scales[ROWS];
    const float *rows[ROWS];
    if (!space) { q->failed = 1; return; }
    float *best = space + ROWS * stride;
    while ((at = taken(q, 8, &end)) < q->n) {
        int64_t s = 0;
        for (; at < end; at++) {
            s = segment_of(index, q->rows[at], s);
            const Segment *segment = &index->segments[s];
            int64_t document = q->rows[at] - segment->first;
            int64_t first = segment->starts[document], last = segment->starts[document + 1];
            for (int64_t l = 0; l < q->n_panels * LANES; l++) best[l] = -INFINITY;
            for (int64_t t = first; t < last; t += ROWS) {
                int real = last - t < ROWS ? (int)(last - t) : ROWS;
                for (int r = 0; r < ROWS; r++) {
                    rows[r] = space + (r < real ? r : 0) * stride;
                    scales[r] = r < real ? restore(index, q->lut, segment, t + r, space + r * stride) : scales[0];
                }
                for (int64_t p = 0; p < q->n_panels; p++) {
                    tile(rows, d, q->panels + p * d * LANES, found);
                    for (int r = 0; r < ROWS; r++) {
                        float *mine = found + r * LANES;
                        for (int l = 0; l < LANES; l++) mine[l] *= scales[r];
                        raise_to(best + p * LANES, mine);
                    }
                }
            }
            float sum = 0;
            for (int64_t l = 0; l < q->n_query; l++) sum += best[l];
            q->exact[at] = sum;
        }
    }
    free(space);
}

static void in_turn(Query *q, Work work) {
    q->next = 0;
    together(q->asked->threads, work, q);
}

static int64_t all_alive(const Query *q) {
    int64_t n = 0;
    for (int64_t i = 0; i < q->index->documents; i++)
        if (q->asked->alive[i]) q->rows[n++] = i;
    return n;
}

/* The documents of the centroids nearest to the query's tokens. */
static int64_t probed(const Query *q, uint8_t *marks) {
    const Index *index = q->index;
    int64_t most = q->asked->probes, n = 0;
    for (int64_t token = 0; token < q->n_query; token++) {
        Probe *held = q->probes + token * most;
        for (int thread = 1; thread < q->asked->threads; thread++) {
            /* Threads took rising stretches of centroids: of equal scores the smaller number stays in front. */
            const Probe *other = q->probes + (thread * q->n_query + token) * most;
            for (int64_t i = 0; i < most; i++)
                if (other[i].id >= 0) insert(held, most, other[i].score, other[i].id);
        }
        for (int64_t i = 0; i < most; i++) {
            if (held[i].id < 0 || held[i].score < q->asked->threshold) continue;
            for (int64_t s = 0; s < index->n_segments; s++) {
                const Segment *segment = &index->segments[s];
                int64_t low = 0, high = segment->n_cells;
                while (low < high) {
                    int64_t middle = (low + high) / 2;
                    if (segment->cells[middle] < held[i].id) low = middle + 1;
                    else high = middle;
                }
                if (low == segment->n_cells || segment->cells[low] != held[i].id) continue;
                for (int64_t m = segment->cell_starts[low]; m < segment->cell_starts[low + 1]; m++)
                    marks[segment->first + segment->members[m]] = 1;
            }
        }
    }
    for (int64_t i = 0; i < index->documents; i++)
        if (marks[i] && q->asked->alive[i]) q->rows[n++] = i;
    return n;
}

/* Keep the `most` best by their rough scores, of equal ones the first. */
static int keep_best(Query *q, int64_t most) {
    int64_t highest = 255 * q->n_query, cut, above = 0, kept = 0;
    int64_t *counts = calloc((size_t)highest + 1, sizeof *counts);
    if (!counts) return -1;
    for (int64_t i = 0; i < q->n; i++) counts[q->rough[i]]++;
    for (cut = highest; cut > 0 && above + counts[cut] <= most; cut--) above += counts[cut];
    int64_t equal = most - above;
    for (int64_t i = 0; i < q->n; i++) {
        if (q->rough[i] > cut || (q->rough[i] == cut && equal-- > 0)) q->rows[kept++] = q->rows[i];
    }
    q->n = kept;
    free(counts);
    return 0;
}

typedef struct { float score; int64_t row; } Scored;

static int better_first(const void *left, const void *right) {
    const Scored *a = left, *b = right;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static int one_query(const Index *index, const Asked *asked, const float *lut, const float *query, int64_t n_query,
                     int64_t *rows, float *scores) {
    Query q = {.index = index, .asked = asked, .lut = lut, .query = query, .n_query = n_query};
    uint8_t *marks = NULL;
    Scored *sorted = NULL;
    int failed = -1;
    for (int64_t i = 0; i < asked->k; i++) rows[i] = -1, scores[i] = -INFINITY;
    if (asked->n_alive == 0 || n_query == 0) return 0;
    q.panels = panels_of(query, n_query, index->d, &q.n_panels);
    q.width = (n_query + 31) / 32 * 32;
    q.rows = malloc((size_t)asked->n_alive * sizeof *q.rows);
    if (!q.panels || !q.rows) goto done;
    if (asked->n_alive <= asked->candidates) {
        q.n = all_alive(&q);
    } else {
        float longest = 0;
        for (int64_t i = 0; i < n_query; i++) {
            float square = 0;
            for (int64_t j = 0; j < index->d; j++) square += query[i * index->d + j] * query[i * index->d + j];
            longest = longest > square ? longest : square;
        }
        q.scale = longest > 0 ? 255 / sqrtf(longest) : 0;
        q.table = aligned_alloc(64, (size_t)(index->n_centroids * q.width + 63) / 64 * 64);
        q.probes = malloc((size_t)asked->threads * n_query * asked->probes * sizeof *q.probes);
        marks = calloc((size_t)index->documents, 1);
        if (!q.table || !q.probes || !marks) goto done;
        if (q.width > q.n_panels * LANES) /* what lies behind the last panel is read too */
            for (int64_t c = 0; c < index->n_centroids; c++)
                memset(q.table + c * q.width + q.n_panels * LANES, 0, (size_t)(q.width - q.n_panels * LANES));
        together(asked->threads, centroids_share, &q);
        q.n = probed(&q, marks);
        if (q.n < asked->k && q.n < asked->n_alive) q.n = all_alive(&q);
        if (q.n > asked->candidates) {
            q.rough = malloc((size_t)q.n * sizeof *q.rough);
            if (!q.rough) goto done;
            in_turn(&q, rough_share);
            if (keep_best(&q, asked->candidates)) goto done;
        }
    }
    q.exact = malloc((size_t)(q.n ? q.n : 1) * sizeof *q.exact);
    sorted = malloc((size_t)(q.n ? q.n : 1) * sizeof *sorted);
    if (!q.exact || !sorted) goto done;
    in_turn(&q, exact_share);
    if (q.failed) goto done;
    for (int64_t i = 0; i < q.n; i++) sorted[i] = (Scored){q.exact[i], q.rows[i]};
    qsort(sorted, (size_t)q.n, sizeof *sorted, better_first);
    for (int64_t i = 0; i < asked->k && i < q.n; i++) rows[i] = sorted[i].row, scores[i] = sorted[i].score;
    failed = 0;
done:
    free(q.panels), free(q.rows), free(q.table), free(q.probes), free(q.rough), free(q.exact), free(marks), free(sorted);
    return failed;
}

typedef struct {
    const Index *index;
    const Asked *asked;
    const float *lut, *queries;
    const int64_t *starts;
    int64_t n, next;
    int64_t *rows;
    float *scores;
    int failed;
} Many;

static void queries_share(void *what, int thread, int threads) {
    Many *job = what;
    (void)thread, (void)threads;
    int64_t i, k = job->asked->k;
    while ((i = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED)) < job->n) {
        const float *query = job->queries + job->starts[i] * job->index->d;
        int64_t tokens = job->starts[i + 1] - job->starts[i];
        if (one_query(job->index, job->asked, job->lut, query, tokens, job->rows + i * k, job->scores + i * k))
            job->failed = 1;
    }
}

/* Several queries are shared among the threads; one is computed by all of them together. */
int pf_late_search(const Index *index, const Asked *asked, const float *queries, const int64_t *starts, int64_t n,
                   int64_t *rows, float *scores) {
    float lut[256 * 8];
    int each = 8 / index->bits, mask = (1 << index->bits) - 1;
    for (int byte = 0; byte < 256; byte++)
        for (int e = 0; e < each; e++) lut[byte * each + e] = index->weights[byte >> (e * index->bits) & mask];
    Asked own = *asked;
    if (own.threads < 1) own.threads = 1;
    if (own.threads > MOST_THREADS) own.threads = MOST_THREADS;
    int threads = own.threads;
    if (n >= threads) own.threads = 1; else threads = 1;
    Many job = {index, &own, lut, queries, starts, n, 0, rows, scores, 0};
    together(threads, queries_share, &job);
    return job.failed ? -1 : 0;
}
