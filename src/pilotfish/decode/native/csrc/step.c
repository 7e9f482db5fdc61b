/* A decoder-only transformer's whole step in one call: all rows, all layers, one team of threads.
 *
 * Activations are float32 throughout; what a linear reads is converted to the form of its weights.
 */
#include <stdlib.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "attend.h"
#include "linear.h"
#include "norm.h"
#include "pack.h"

typedef struct {
    const Row *row;
    int64_t index; /* among the row's new tokens */
    int64_t slot;  /* among those whose logits are wanted, or -1 */
} Token;

/* Working memory: one block, cut anew for each step. */
typedef struct {
    char *memory;
    int64_t size;
} Scratch;

typedef struct {
    const Model *m;
    const Row *rows;
    Token *token;
    int64_t tokens, slots, longest, threads;
    float *x, *qkv, *mixed, *inner, *extra, *scores;
    int64_t wide; /* of qkv: all three side by side */
    int64_t most; /* inputs of a linear, or more */
    char *act_data, *room;
    float *act_scale, *act_sum;
    int32_t *act_total;
    float *logits, *early;
} Step;

static Act as_input(const Step *s, const Linear *l) {
    return (Act){act_kind(l), pad64(l->k), s->act_data, s->act_scale, s->act_total, s->act_sum};
}

static void embed(const Team *team, const Step *s) {
    const Model *m = s->m;
    int64_t from, to;
    part(team, s->tokens, &from, &to);
    for (int64_t t = from; t < to; t++) {
        const Row *row = s->token[t].row;
        int64_t id = row->tokens[s->token[t].index], place = row->places[s->token[t].index];
        float *x = s->x + t * m->width;
        for (int64_t i = 0; i < m->width; i++) {
            int64_t at = id * m->width + i;
            x[i] = m->embedding_kind == FLOAT32 ? ((const float *)m->embedding)[at]
                                                : bf_float(((const uint16_t *)m->embedding)[at]);
            x[i] *= (float)m->embedding_scale;
            if (m->positions) {
                at = place * m->width + i;
                x[i] += m->positions_kind == FLOAT32 ? ((const float *)m->positions)[at]
                                                     : bf_float(((const uint16_t *)m->positions)[at]);
            }
        }
    }
}

/* Norm of every token, ready for `l`. */
static void normed(const Team *team, const Step *s, const Norm *norm, const Linear *l) {
    const Model *m = s->m;
    Act act = as_input(s, l);
    int64_t from, to;
    part(team, s->tokens, &from, &to);
    for (int64_t t = from; t < to; t++) {
        float *out = s->extra + t * m->width;
        normalise(norm, s->x + t * m->width, m->width, out);
        convert(&act, t, out, 0, m->width);
        pad(&act, t, m->width);
    }
}

/* x += norm(extra), for the families that norm a block's output too. */
static void add_normed(const Team *team, const Step *s, const Norm *norm) {
    int64_t from, to, width = s->m->width;
    part(team, s->tokens, &from, &to);
    for (int64_t t = from; t < to; t++) {
        float *x = s->x + t * width, *y = s->extra + t * width;
        normalise(norm, y, width, y);
        for (int64_t i = 0; i < width; i++) x[i] += y[i];
    }
}

/* A block's last linear: into x, through its own norm where it has one. */
static void into_x(const Team *team, const Step *s, const Linear *l, const Norm *post) {
    Act act = as_input(s, l);
    linear(team, l, &act, s->tokens, post->w ? s->extra : s->x, s->m->width, post->w == NULL);
    together(team);
    if (post->w) {
        add_normed(team, s, post);
        together(team);
    }
}

static void rotate_and_store(const Team *team, const Step *s, const Layer *layer, int64_t number) {
    const Model *m = s->m;
    int64_t per_token = m->heads + 2 * m->kv_heads, from, to;
    part(team, s->tokens * per_token, &from, &to);
    for (int64_t u = from; u < to; u++) {
        int64_t t = u / per_token, head = u % per_token;
        const Row *row = s->token[t].row;
        int64_t index = s->token[t].index, at = row->length + index;
        float *x = s->qkv + t * s->wide + head * m->head_dim;
        int is_q = head < m->heads, is_v = head >= m->heads + m->kv_heads;
        int64_t kv = is_q ? 0 : is_v ? head - m->heads - m->kv_heads : head - m->heads;
        int64_t lane = (number * m->kv_heads + kv) * row->capacity;
        if (is_v) {
            put_value(m, row->values + lane * value_bytes(m), at, x);
            continue;
        }
        const Norm *norm = is_q ? &layer->q_norm : &layer->k_norm;
        if (norm->w) normalise(norm, x, m->head_dim, x);
        if (layer->rope >= 0) rotate(x, m->ropes[layer->rope] + row->places[index] * m->head_dim, m->head_dim);
        if (is_q)
            for (int64_t d = 0; d < m->head_dim; d++) x[d] *= (float)m->attention_scale;
        else
            put_key(m, row->keys + lane * key_bytes(m), at, x);
    }
}

static void attention(const Team *team, const Step *s, const Layer *layer, int64_t number) {
    const Model *m = s->m;
    int64_t queries = m->heads / m->kv_heads, chunks = (queries + QUERIES - 1) / QUERIES, from, to;
    /* Finer pieces where whole key/value heads would leave threads idle; no result depends on this. */
    if (s->tokens * m->kv_heads * chunks % team->count && s->tokens < 4 * team->count) chunks = queries;
    float *scores = s->scores + team->id * QUERIES * s->longest;
    part(team, s->tokens * m->kv_heads * chunks, &from, &to);
    for (int64_t u = from; u < to; u++) {
        int64_t t = u / (m->kv_heads * chunks), kv = u / chunks % m->kv_heads, chunk = u % chunks;
        int64_t first = queries * chunk / chunks, n = queries * (chunk + 1) / chunks - first;
        const Row *row = s->token[t].row;
        int64_t index = s->token[t].index, start = 0, lane = (number * m->kv_heads + kv) * row->capacity;
        int64_t head = kv * queries + first;
        if (layer->window && row->places[index] >= layer->window) start = row->places[index] - layer->window + 1;
        const uint8_t *mask = row->mask ? row->mask + index * row->n : NULL;
        (m->cache == BFLOAT16 ? attend_bfloat16 : attend_float32)(
            (int)n, m, row->keys + lane * key_bytes(m), row->values + lane * value_bytes(m), start,
            row->length + index + 1, row->length, mask, s->qkv + t * s->wide + head * m->head_dim, scores, s->longest,
            s->mixed + (t * m->heads + head) * m->head_dim);
    }
}

/* Every token of `source` (k wide), ready for `l`: shared out by groups, so that one token keeps all threads busy. */
static void converted(const Team *team, const Step *s, const Linear *l, const float *source) {
    Act act = as_input(s, l);
    int64_t per_token = groups(l->k), from, to;
    part(team, s->tokens * per_token, &from, &to);
    while (from < to) {
        int64_t t = from / per_token, a = from % per_token;
        int64_t b = to - t * per_token < per_token ? to - t * per_token : per_token;
        convert(&act, t, source + t * l->k, a * GROUP, b == per_token ? l->k : b * GROUP);
        if (b == per_token) pad(&act, t, l->k);
        from = t * per_token + b;
    }
}

static void mlp(const Team *team, const Step *s, const Layer *layer) {
    const Model *m = s->m;
    Act act = as_input(s, &layer->up);
    const Linear *list[2] = {&layer->up, &layer->gate};
    int64_t size = s->tokens * m->inner, ld[2] = {m->inner, m->inner}, from, to;
    float *up = s->inner, *gate = s->inner + size, *y[2] = {up, gate};
    int gated = layer->gate.w != NULL;
    linears(team, list, y, ld, gated ? 2 : 1, &act, s->tokens, 0);
    together(team);
    Act next = as_input(s, &layer->down);
    int64_t per_token = groups(m->inner);
    part(team, s->tokens * per_token, &from, &to);
    while (from < to) {
        int64_t t = from / per_token, a = from % per_token;
        int64_t b = to - t * per_token < per_token ? to - t * per_token : per_token;
        int64_t last = b == per_token ? m->inner : b * GROUP;
        float *u = up + t * m->inner;
        activation(gated ? gate + t * m->inner : NULL, u, u, a * GROUP, last, (int)m->gelu);
        convert(&next, t, u, a * GROUP, last);
        if (b == per_token) pad(&next, t, m->inner);
        from = t * per_token + b;
    }
    together(team);
    into_x(team, s, &layer->down, &layer->post_mlp);
}

/* Logits of the tokens that want them: final norm, head. */
static void logits(const Team *team, const Step *s, float *out, int64_t stride) {
    const Model *m = s->m;
    Act act = as_input(s, &m->head);
    int64_t from, to;
    part(team, s->tokens, &from, &to);
    for (int64_t t = from; t < to; t++) {
        int64_t slot = s->token[t].slot;
        if (slot < 0) continue;
        float *h = s->extra + t * m->width;
        normalise(&m->final, s->x + t * m->width, m->width, h);
        convert(&act, slot, h, 0, m->width);
        pad(&act, slot, m->width);
    }
    together(team);
    linear(team, &m->head, &act, s->slots, out, stride, 0);
    together(team);
}

static void run(const Team *team, const Step *s) {
    const Model *m = s->m;
    int64_t exit = 0;
    embed(team, s);
    together(team);
    for (int64_t i = 0; i <= m->layers; i++) {
        for (; exit < m->exit_count && m->exits[exit] == i && s->slots; exit++)
            logits(team, s, s->early + exit * m->vocabulary, m->exit_count * m->vocabulary);
        if (i == m->layers) break;
        const Layer *layer = m->layer + i;
        const Linear *list[3] = {&layer->q, &layer->k, &layer->v};
        int64_t ld[3] = {s->wide, s->wide, s->wide};
        float *y[3] = {s->qkv, s->qkv + layer->q.n, s->qkv + layer->q.n + layer->k.n};
        Act act = as_input(s, &layer->q);
        normed(team, s, &layer->attention, &layer->q);
        together(team);
        linears(team, list, y, ld, 3, &act, s->tokens, 0);
        together(team);
        rotate_and_store(team, s, layer, i);
        together(team);
        attention(team, s, layer, i);
        together(team);
        converted(team, s, &layer->o, s->mixed);
        together(team);
        into_x(team, s, &layer->o, &layer->post_attention);
        normed(team, s, &layer->mlp, &layer->up);
        together(team);
        mlp(team, s, layer);
    }
    if (s->slots) logits(team, s, s->logits, m->vocabulary);
}

static char *cut(char **p, int64_t bytes) {
    char *here = *p;
    *p += (bytes + 63) & ~(int64_t)63;
    return here;
}

/* Lay the step's buffers out from `base`; return where they end. With base NULL: how many bytes that takes. */
static int64_t lay_out(Step *s, char *base) {
    const Model *m = s->m;
    int64_t mixed = m->heads * m->head_dim, most = m->inner > mixed ? m->inner : mixed;
    if (m->width > most) most = m->width;
    most = s->most = pad64(most);
    char *p = base;
    s->token = (Token *)cut(&p, s->tokens * (int64_t)sizeof(Token));
    s->x = (float *)cut(&p, s->tokens * m->width * 4);
    s->extra = (float *)cut(&p, s->tokens * m->width * 4);
    s->qkv = (float *)cut(&p, s->tokens * s->wide * 4);
    s->mixed = (float *)cut(&p, s->tokens * mixed * 4);
    s->inner = (float *)cut(&p, s->tokens * m->inner * 8);
    s->scores = (float *)cut(&p, s->threads * QUERIES * s->longest * 4);
    s->act_data = cut(&p, s->tokens * most * 4);
    s->act_scale = (float *)cut(&p, s->tokens * most / GROUP * 4);
    s->act_sum = (float *)cut(&p, s->tokens * most / GROUP * 4);
    s->act_total = (int32_t *)cut(&p, s->tokens * most / GROUP * 4);
    s->room = cut(&p, s->threads * room_bytes(most));
    return p - base;
}

/* Feed rows; write logits (wanted tokens, vocabulary) and, for a model with exits, early (wanted, exits, vocabulary).
 * Returns 0, or 1 where there is no memory. */
int pf_step(const Model *m, const Row *rows_in, int64_t count, Scratch *scratch, int threads, float *out,
            float *early) {
    Step s = {.m = m, .rows = rows_in, .logits = out, .early = early, .threads = threads};
    s.wide = (m->heads + 2 * m->kv_heads) * m->head_dim;
    for (int64_t i = 0; i < count; i++) {
        s.tokens += rows_in[i].n;
        int64_t end = rows_in[i].length + rows_in[i].n + KEYS;
        if (end > s.longest) s.longest = end;
    }
    s.longest = pad64(s.longest);
    int64_t bytes = lay_out(&s, NULL);
    if (bytes > scratch->size) {
        free(scratch->memory);
        scratch->size = 0;
        scratch->memory = aligned_alloc(64, (size_t)((bytes + 63) & ~(int64_t)63));
        if (!scratch->memory) return 1;
        scratch->size = bytes;
    }
    lay_out(&s, scratch->memory);
    for (int64_t i = 0, t = 0; i < count; i++)
        for (int64_t j = 0; j < rows_in[i].n; j++, t++)
            s.token[t] = (Token){rows_in + i, j, j >= rows_in[i].first_logits ? s.slots++ : -1};
    Barrier barrier;
    barrier_init(&barrier);
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
    {
        Team team = {omp_get_thread_num(), omp_get_num_threads(), &barrier, NULL};
        team.room = s.room + team.id * room_bytes(s.most);
        run(&team, &s);
    }
#else
    Team team = {0, 1, &barrier, s.room};
    run(&team, &s);
#endif
    return 0;
}

/* How many bytes a packed linear takes, rows padded to 16. */
int64_t pf_packed_bytes(int64_t n, int64_t k, int64_t kind) {
    if (kind == SHORT) return (n + 15) / 16 * short_unit(k);
    Linear l = {.n = n, .k = k, .kind = kind};
    return (n + 15) / 16 * unit_bytes(&l);
}

/* Pack (n, k) weights of type `from` as `kind`: into w, and for INT8 a scale a row (n padded to 16).
 * Returns the squared error of INT4 as a share of the weights' squares (0 for INT8), or -1 where there is no memory. */
double pf_pack(const void *source, int64_t from, int64_t n, int64_t k, int64_t kind, uint8_t *w, float *scale,
               int threads) {
    Linear l = {.n = n, .k = k, .kind = kind};
    int64_t size = unit_bytes(&l), padded = groups(k) * GROUP;
    double error = 0.0, power = 0.0;
    int failed = 0;
    (void)threads;
#ifdef _OPENMP
#pragma omp parallel num_threads(threads) reduction(+ : error, power, failed)
#endif
    {
        float *row = malloc((size_t)padded * 4);
        if (!row) failed = 1;
#ifdef _OPENMP
#pragma omp for schedule(dynamic, 4)
#endif
        for (int64_t unit = 0; unit < (n + 15) / 16; unit++)
            for (int lane = 0; row && lane < 16; lane++) {
                read_weights(source, from, n, k, unit * 16 + lane, row, padded);
                if (kind == INT8) pack_int8(row, padded, w + unit * size, lane, scale + unit * 16 + lane);
                else error += pack_int4(row, padded, w + unit * size, lane, &power);
            }
        free(row);
    }
    return failed ? -1.0 : power > 0.0 ? error / power : 0.0;
}

/* Hold (n, k) bfloat16 weights in 12 bits. Returns how many of them are misses; if there is no `room` for so many,
 * nothing else is done. */
int64_t pf_shorten(const uint16_t *source, int64_t n, int64_t k, uint8_t *w, Miss *misses, int64_t room, int threads) {
    int64_t units = (n + SHORT_ROWS - 1) / SHORT_ROWS, size = short_unit(k), all = 0;
    (void)threads;
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads)
#endif
    for (int64_t u = 0; u < units; u++) {
        int64_t row = u * SHORT_ROWS, rows = n - row < SHORT_ROWS ? n - row : SHORT_ROWS;
        short_codes(source + row * k, rows, k, (ShortHead *)(w + u * size));
    }
    for (int64_t u = 0; u < units; u++) {
        ShortHead *head = (ShortHead *)(w + u * size);
        head->first = all;
        all += head->misses;
    }
    if (all > room) return all;
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads)
#endif
    for (int64_t u = 0; u < units; u++) {
        int64_t row = u * SHORT_ROWS, rows = n - row < SHORT_ROWS ? n - row : SHORT_ROWS;
        short_fill(source + row * k, row, rows, k, w + u * size, misses);
    }
    return all;
}

Scratch *pf_scratch(void) { return calloc(1, sizeof(Scratch)); }

void pf_scratch_free(Scratch *scratch) {
    if (scratch) free(scratch->memory);
    free(scratch);
}

/* One linear alone, float32 in and out, for measuring and tests. */
int pf_linear(const Linear *l, const float *x, int64_t m, float *y, int threads, int64_t times) {
    int64_t stride = pad64(l->k), g = m * stride / GROUP;
    int64_t acts = m * stride * 4 + ((g * 12 + 63) & ~(int64_t)63);
    char *memory = aligned_alloc(64, (size_t)(acts + threads * room_bytes(l->k)));
    if (!memory) return 1;
    float *scale = (float *)(memory + m * stride * 4);
    Act act = {act_kind(l), stride, memory, scale, (int32_t *)(scale + g), scale + 2 * g};
    for (int64_t t = 0; t < m; t++) {
        convert(&act, t, x + t * l->k, 0, l->k);
        pad(&act, t, l->k);
    }
    Barrier barrier;
    barrier_init(&barrier);
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
#endif
    {
        Team team = {0, 1, &barrier, NULL};
#ifdef _OPENMP
        team.id = omp_get_thread_num();
        team.count = omp_get_num_threads();
#endif
        team.room = memory + acts + team.id * room_bytes(l->k);
        for (int64_t i = 0; i < times; i++) {
            linear(&team, l, &act, m, y, l->n, 0);
            together(&team);
        }
    }
    free(memory);
    return 0;
}
