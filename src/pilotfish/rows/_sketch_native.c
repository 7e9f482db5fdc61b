/* Normalised texts to n-grams, sketches and near pairs: what `_shingles`, `_grams`, `_sketch`, `_lsh` and `_verify` say
 * in numpy, to the same numbers; a test compares the two.
 *
 * Texts are UTF-8 (surrogates pass), one after another: text i is bytes[starts[i] : starts[i + 1]].
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SPREAD 0x9E3779B97F4A7C15ull
#define LOW ((1ull << 40) - 1)

static uint64_t mixed(uint64_t x) {
    x ^= x >> 30;
    x *= 0xBF58476D1CE4E5B9ull;
    x ^= x >> 27;
    x *= 0x94D049BB133111EBull;
    return x ^ (x >> 31);
}

/* Write each text of ASCII alone as `normalised` has it; sizes: its bytes, -1 where only Python can tell.
 *
 * table: what becomes of each of the 128 characters: another, or a blank.
 */
void pf_normalised(const uint8_t *bytes, const int64_t *starts, int64_t texts, const uint8_t *table, uint8_t *out,
                   int64_t *sizes) {
    for (int64_t i = 0; i < texts; i++) {
        const uint8_t *at = bytes + starts[i], *end = bytes + starts[i + 1];
        uint8_t *first = out, high = 0;
        int blank = 0;
        for (; at < end; at++) {
            high |= *at;
            uint8_t code = table[*at & 0x7F];
            if (code == ' ') {
                blank = 1;
            } else {
                if (blank && out > first) *out++ = ' ';
                blank = 0;
                *out++ = code;
            }
        }
        sizes[i] = out - first;
        if (high >= 0x80 || out == first) {
            out = first;
            sizes[i] = -1;
        }
    }
}

typedef struct {
    uint64_t *grams, *words;
    int64_t room;
} Scratch;

static int roomy(Scratch *s, int64_t wanted) {
    if (wanted <= s->room) return 0;
    free(s->grams);
    free(s->words);
    s->grams = malloc((size_t)wanted * sizeof(uint64_t));
    s->words = malloc((size_t)wanted * sizeof(uint64_t));
    s->room = s->grams && s->words ? wanted : 0;
    return s->room ? 0 : -1;
}

static int point(const uint8_t *at, const uint8_t *end, uint32_t *out) {
    uint8_t first = at[0];
    if (first < 0x80) { *out = first; return 1; }
    if (first < 0xE0 && at + 1 < end) { *out = (first & 0x1Fu) << 6 | (at[1] & 0x3Fu); return 2; }
    if (first < 0xF0 && at + 2 < end) {
        *out = (first & 0x0Fu) << 12 | (at[1] & 0x3Fu) << 6 | (at[2] & 0x3Fu);
        return 3;
    }
    if (at + 3 < end) {
        *out = (first & 0x07u) << 18 | (at[1] & 0x3Fu) << 12 | (at[2] & 0x3Fu) << 6 | (at[3] & 0x3Fu);
        return 4;
    }
    *out = 0xFFFD;
    return 1;
}

/* The n-grams of a text into s->grams; how many, or -1 where there is no memory. */
static int64_t grams_of(Scratch *s, const uint8_t *at, const uint8_t *end, int n, int word) {
    int64_t count = 0;
    if (roomy(s, end - at + n + 2)) return -1;
    uint64_t *parts = s->words;
    if (word) {
        uint64_t sum = 0, place = 0;
        while (at < end) {
            uint32_t code;
            at += point(at, end, &code);
            sum += mixed(code + place++ * SPREAD);
            if (code == ' ') {
                parts[count++] = mixed(sum);
                sum = place = 0;
            }
        }
        parts[count++] = mixed(sum + mixed(' ' + place * SPREAD));
        while (count < n) parts[count++] = mixed(mixed(0) + mixed(' ' + SPREAD));
    } else {
        parts[count++] = ' ';
        while (at < end) {
            uint32_t code;
            at += point(at, end, &code);
            parts[count++] = code;
        }
        parts[count++] = ' ';
        while (count < n) parts[count++] = ' ';
    }
    int64_t grams = count - n + 1;
    for (int64_t i = 0; i < grams; i++) {
        uint64_t gram = parts[i];
        for (int k = 1; k < n; k++) {
            if (word) gram = mixed(gram) + parts[i + k];
            else if (n <= 3) gram = gram << 21 | parts[i + k];
            else gram = (gram ^ gram >> 29) * SPREAD + parts[i + k];
        }
        s->grams[i] = gram;
    }
    return grams;
}

/* Write the sketch of each text: (texts, size). salts: (2 size). Return -1 where there is no memory. */
int pf_sketches(const uint8_t *bytes, const int64_t *starts, int64_t texts, int n, int word, int64_t size,
                const uint64_t *salts, uint32_t *out) {
    Scratch s = {0};
    uint64_t *bins = malloc((size_t)size * sizeof(uint64_t));
    int failed = bins == NULL;
    for (int64_t i = 0; i < texts && !failed; i++, out += size) {
        int64_t grams = grams_of(&s, bytes + starts[i], bytes + starts[i + 1], n, word);
        failed = grams < 0;
        if (failed) break;
        int64_t empty = size;
        memset(bins, 0xFF, (size_t)size * sizeof(uint64_t));
        for (int64_t turn = 0; empty && turn < 2 * size; turn++) {
            uint64_t front = (uint64_t)turn << 40, salt = salts[turn];
            for (int64_t g = 0; g < grams; g++) {
                uint64_t value = mixed(s.grams[g] ^ salt);
                int64_t place = turn < size ? (int64_t)((value >> 32) * (uint64_t)size >> 32) : turn - size;
                value = front | (value & LOW);
                if (value < bins[place]) {
                    empty -= bins[place] == UINT64_MAX;
                    bins[place] = value;
                }
            }
        }
        for (int64_t b = 0; b < size; b++) out[b] = (uint32_t)mixed(bins[b]);
    }
    free(bins);
    free(s.grams);
    free(s.words);
    return failed ? -1 : 0;
}

/* A table of a text's n-grams, emptied by a new number. */
typedef struct { uint64_t gram; uint32_t turn; uint32_t seen; } Slot;
typedef struct {
    Slot *slots;
    int64_t room, text, distinct; /* whose n-grams it holds, and how many there are */
    int shift;
    uint32_t turn, pair;
    Scratch scratch;
} Table;

static int widened(Table *t, int64_t grams) {
    t->turn++;
    if (t->turn && 2 * grams <= t->room) return 0;
    int64_t room = 1024;
    int shift = 54;
    for (; room < 2 * grams; room *= 2) shift--;
    if (room < t->room) { room = t->room; shift = t->shift; }
    free(t->slots);
    t->slots = calloc((size_t)room, sizeof(Slot));
    t->room = t->slots ? room : 0;
    t->shift = shift;
    t->turn = 1;
    t->pair = 0;
    return t->slots ? 0 : -1;
}

static Slot *slot_of(const Table *t, uint64_t gram) {
    uint64_t at = gram * SPREAD >> t->shift;
    while (t->slots[at].turn == t->turn && t->slots[at].gram != gram) at = (at + 1) & (uint64_t)(t->room - 1);
    return t->slots + at;
}

/* Put a text's n-grams into the table. Return -1 where there is no memory. */
static int filled(Table *t, const uint8_t *bytes, const int64_t *starts, int64_t text, int n, int word) {
    int64_t grams = grams_of(&t->scratch, bytes + starts[text], bytes + starts[text + 1], n, word);
    t->text = -1;
    if (grams < 0 || widened(t, grams)) return -1;
    t->distinct = 0;
    for (int64_t g = 0; g < grams; g++) {
        Slot *slot = slot_of(t, t->scratch.grams[g]);
        if (slot->turn == t->turn) continue;
        *slot = (Slot){t->scratch.grams[g], t->turn, 0};
        t->distinct++;
    }
    t->text = text;
    t->pair = 0;
    return 0;
}

/* The Jaccard similarity of two texts, 0 where it is less than `least`; -1 where there is no memory.
 *
 * other: how many distinct n-grams b has.
 */
static double similarity(Table *t, const uint8_t *bytes, const int64_t *starts, int64_t a, int64_t b, int64_t other,
                         double least, int n, int word) {
    if (t->text != a && filled(t, bytes, starts, a, n, word)) return -1;
    int64_t grams = grams_of(&t->scratch, bytes + starts[b], bytes + starts[b + 1], n, word);
    if (grams < 0) return -1;
    /* both / (distinct + other - both) >= least, so so many of b's n-grams may be missing at most. */
    double needed = least / (1 + least) * (double)(t->distinct + other);
    int64_t both = 0, missing = grams - (int64_t)needed + 1;
    t->pair++;
    for (int64_t g = 0; g < grams && missing >= 0; g++) {
        Slot *slot = slot_of(t, t->scratch.grams[g]);
        if (slot->turn == t->turn && slot->seen != t->pair) {
            slot->seen = t->pair;
            both++;
        } else {
            missing--;
        }
    }
    return missing < 0 ? 0 : (double)both / (double)(t->distinct + other - both);
}

static void emptied(Table *t) {
    free(t->slots);
    free(t->scratch.grams);
    free(t->scratch.words);
}

/* Write the similarity of each pair. Return -1 where there is no memory. */
int pf_similar(const uint8_t *bytes, const int64_t *starts, int64_t pairs, const int64_t *left, const int64_t *right,
               int n, int word, double *out) {
    Table t = {.text = -1};
    int failed = 0;
    for (int64_t i = 0; i < pairs && !failed; i++) {
        failed = filled(&t, bytes, starts, right[i], n, word);
        int64_t other = t.distinct;
        if (failed) break;
        out[i] = similarity(&t, bytes, starts, left[i], right[i], other, 0, n, word);
        failed = out[i] < 0;
    }
    emptied(&t);
    return failed ? -1 : 0;
}

static int32_t root(int32_t *parent, int32_t node) {
    while (parent[node] != node) node = parent[node] = parent[parent[node]];
    return node;
}

typedef struct { uint64_t further; int32_t row; } Member;

static int by_row(const void *a, const void *b) {
    int32_t x = ((const Member *)a)->row, y = ((const Member *)b)->row;
    return (x > y) - (x < y);
}

static int by_further(const void *a, const void *b) {
    uint64_t x = ((const Member *)a)->further, y = ((const Member *)b)->further;
    return x == y ? by_row(a, b) : (x > y) - (x < y);
}

typedef struct {
    const uint8_t *bytes;      /* the texts, or NULL: then the sketches alone decide */
    const int64_t *starts;
    const uint32_t *sketches;  /* (rows, size) */
    int64_t size, least;       /* equal places from which a pair is worth a look */
    int32_t *parent;
    int32_t *distinct;         /* n-grams of each text, 0 where they are not counted yet */
    double threshold;
    int n, word;
    int64_t counts[3];         /* candidates, compared exactly, joined */
} Join;

/* Look at one pair; join the two where they are near. */
static int look(Join *j, Table *t, int32_t a, int32_t b) {
    int32_t x = root(j->parent, a), y = root(j->parent, b);
    if (x == y) return 0;
    j->counts[0]++;
    const uint32_t *p = j->sketches + (int64_t)a * j->size, *q = j->sketches + (int64_t)b * j->size;
    int64_t equal = 0;
    for (int64_t k = 0; k < j->size; k++) equal += p[k] == q[k];
    if (equal < j->least) return 0;
    if (j->bytes) {
        j->counts[1]++;
        if (!j->distinct[b]) {
            if (filled(t, j->bytes, j->starts, b, j->n, j->word)) return -1;
            j->distinct[b] = (int32_t)t->distinct;
        }
        double found = similarity(t, j->bytes, j->starts, a, b, j->distinct[b], j->threshold, j->n, j->word);
        if (found < 0) return -1;
        if (found < j->threshold) return 0;
    }
    j->counts[2]++;
    if (x < y) j->parent[y] = x;
    else j->parent[x] = y;
    return 0;
}

/* Join near rows of equal keys. keys: (rows) ascending; rows: their numbers; further: the keys of another band.
 *
 * Of a run of more than `most` equal keys each member is compared with the next `most` in the order of `further`, and
 * with the first one. Return -1 where there is no memory.
 */
int pf_join(Join *j, int64_t rows, const uint64_t *keys, const int32_t *numbers, const uint64_t *further, int64_t most) {
    Table t = {.text = -1};
    Member *run = NULL;
    int64_t room = 0;
    int failed = 0;
    for (int64_t first = 0, stop; first < rows && !failed; first = stop) {
        for (stop = first + 1; stop < rows && keys[stop] == keys[first];) stop++;
        int64_t size = stop - first;
        if (size < 2) continue;
        if (size > room) {
            free(run);
            room = size * 2;
            run = malloc((size_t)room * sizeof(Member));
            if (!run) { failed = 1; break; }
        }
        for (int64_t i = 0; i < size; i++) run[i] = (Member){further[first + i], numbers[first + i]};
        qsort(run, (size_t)size, sizeof(Member), size > most ? by_further : by_row);
        for (int64_t i = 1; size > most && i < size && !failed; i++) failed = look(j, &t, run[0].row, run[i].row);
        for (int64_t i = 0; i < size && !failed; i++)
            for (int64_t k = i + 1; k < size && k <= i + most && !failed; k++)
                failed = look(j, &t, run[i].row, run[k].row);
    }
    free(run);
    emptied(&t);
    return failed ? -1 : 0;
}
