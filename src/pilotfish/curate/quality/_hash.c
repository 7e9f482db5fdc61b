/* Words and their n-grams as buckets of a hash table, each bucket once a text.
 *
 * A text is UTF-8, in lower case. `kinds` tells of each code point whether it belongs to a word (1), is blank (2) or
 * stands alone (0); a line's end is a word of its own. A text ends with a mark, so that its last words are told from
 * the same words within. The words' hashes are FNV-1a, mixed by the last step of splitmix64; `_features.py` does the
 * same in numpy, and a test compares the two.
 */
#include <stdint.h>
#include <stdlib.h>

static uint64_t mixed(uint64_t x) {
    x ^= x >> 30;
    x *= 0xBF58476D1CE4E5B9ull;
    x ^= x >> 27;
    x *= 0x94D049BB133111EBull;
    return x ^ (x >> 31);
}

#define BASE 0xCBF29CE484222325ull
#define STEP 0x100000001B3ull
#define MOST 16

/* A code point of well-formed UTF-8 (surrogates pass); how long it is. */
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

typedef struct {
    uint64_t last[MOST]; /* n-grams that end at the word before, by their length */
    int length, n, shift;
    uint32_t *stamps, stamp;
    int32_t *out;
    int64_t count;
} Grams;

static void put(Grams *g, uint64_t hash) {
    uint32_t bucket = (uint32_t)(hash >> g->shift);
    if (g->stamps[bucket] != g->stamp) {
        g->stamps[bucket] = g->stamp;
        g->out[g->count++] = (int32_t)bucket;
    }
}

static void word(Grams *g, uint64_t hash) {
    hash = mixed(hash);
    int most = g->length < g->n ? g->length : g->n - 1;
    for (int k = most; k >= 1; k--) {
        g->last[k] = mixed(g->last[k - 1]) + hash;
        put(g, g->last[k]);
    }
    g->last[0] = hash;
    put(g, hash);
    g->length++;
}

/* Write the buckets of texts one after another, and how many each has; return how many there are in all.
 *
 * bytes, starts: the texts; text i is bytes[starts[i] : starts[i + 1]].
 * n: 1 to 16 words an n-gram. bits: 1 to 31, of a bucket's number.
 * stamps: 2^bits zeros at the first call, then left as they are; stamp: the number of the first text, from 1.
 * out: room for n * (bytes + 1) numbers and n more a text. words: how many words each text has, its end not counted.
 */
int64_t pf_buckets(const uint8_t *bytes, const int64_t *starts, int64_t texts, const uint8_t *kinds, int n, int bits,
                   uint32_t *stamps, uint32_t stamp, int32_t *out, int64_t *counts, int64_t *words) {
    Grams g = {.n = n, .shift = 64 - bits, .stamps = stamps, .out = out};
    for (int64_t i = 0; i < texts; i++) {
        const uint8_t *at = bytes + starts[i], *end = bytes + starts[i + 1];
        int64_t before = g.count;
        g.length = 0;
        g.stamp = stamp + (uint32_t)i;
        uint64_t hash = BASE;
        int inside = 0;
        while (at < end) {
            uint32_t code;
            int size = point(at, end, &code);
            uint8_t kind = kinds[code];
            if (kind == 1) {
                for (int j = 0; j < size; j++) hash = (hash ^ at[j]) * STEP;
                inside = 1;
            } else {
                if (inside) { word(&g, hash); hash = BASE; inside = 0; }
                if (kind == 0) {
                    for (int j = 0; j < size; j++) hash = (hash ^ at[j]) * STEP;
                    word(&g, hash);
                    hash = BASE;
                }
            }
            at += size;
        }
        if (inside) word(&g, hash);
        words[i] = g.length;
        if (g.length) word(&g, BASE);
        counts[i] = g.count - before;
    }
    return g.count;
}
