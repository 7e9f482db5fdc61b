/* Words and their n-grams as buckets of a hash table, each bucket once a text.
 *
 * A text is UTF-8, in lower case. `kinds` tells of each code point whether it belongs to a word (1), is blank (2) or
 * stands alone (0); a line's end is a word of its own. A text ends with a mark, so that its last words are told from
 * the same words within. The words' hashes are FNV-1a, mixed by the last step of splitmix64; `buckets.py` does the
 * same in numpy, and a test compares the two. A word also has n-grams of characters where they are asked for, with a
 * mark before and after it, as fastText has them.
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
#define CHARACTERS 0x84222325CBF29CE4ull /* so that no n-gram of characters is taken for a word */
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

/* The n-grams of `least` to `most` characters of a word between `<` and `>`; a mark alone is none. */
static void characters(Grams *g, const uint8_t *from, const uint8_t *to, int least, int most) {
    const uint8_t *start = from;
    uint32_t code;
    for (int marked = 1; marked || start < to; marked = 0) {
        const uint8_t *at = start;
        uint64_t hash = CHARACTERS;
        int length = 0;
        if (marked) { hash = (hash ^ '<') * STEP; length = 1; }
        while (length < most) {
            int ended = at == to, size = ended ? 1 : point(at, to, &code);
            for (int j = 0; j < size; j++) hash = (hash ^ (ended ? '>' : at[j])) * STEP;
            at += ended ? 0 : size;
            if (++length >= least) put(g, mixed(hash));
            if (ended) break;
        }
        if (!marked) start += point(start, to, &code);
    }
}

/* Write the buckets of texts one after another, and how many each has; return how many there are in all.
 *
 * bytes, starts: the texts; text i is bytes[starts[i] : starts[i + 1]].
 * n: 1 to 16 words an n-gram. bits: 1 to 31, of a bucket's number.
 * least, most: characters of an n-gram of characters; most 0 for none.
 * stamps: 2^bits zeros at the first call, then left as they are; stamp: the number of the first text, from 1.
 * out: room for n * (bytes + 1) numbers and n more a text, and for each length of characters twice the bytes and two
 * more a text. words: how many words each text has, its end not counted.
 */
int64_t pf_buckets(const uint8_t *bytes, const int64_t *starts, int64_t texts, const uint8_t *kinds, int n, int bits,
                   int least, int most, uint32_t *stamps, uint32_t stamp, int32_t *out, int64_t *counts, int64_t *words) {
    Grams g = {.n = n, .shift = 64 - bits, .stamps = stamps, .out = out};
    for (int64_t i = 0; i < texts; i++) {
        const uint8_t *at = bytes + starts[i], *end = bytes + starts[i + 1], *begin = at;
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
                if (!inside) begin = at;
                inside = 1;
            } else {
                if (inside) {
                    word(&g, hash);
                    if (most) characters(&g, begin, at, least, most);
                    hash = BASE;
                    inside = 0;
                }
                if (kind == 0) {
                    for (int j = 0; j < size; j++) hash = (hash ^ at[j]) * STEP;
                    word(&g, hash);
                    hash = BASE;
                }
            }
            at += size;
        }
        if (inside) {
            word(&g, hash);
            if (most) characters(&g, begin, end, least, most);
        }
        words[i] = g.length;
        if (g.length) word(&g, BASE);
        counts[i] = g.count - before;
    }
    return g.count;
}
