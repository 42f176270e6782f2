/* A check that says where it failed, and a wait with a deadline for what other threads do. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <heartwire.h>

#define CHECK(condition)                                                                                      \
    do {                                                                                                      \
        if (!(condition)) {                                                                                   \
            fprintf(stderr, "%s:%d: %s; last error: %s\n", __FILE__, __LINE__, #condition,                    \
                    heartwire_last_error());                                                                  \
            abort();                                                                                          \
        }                                                                                                     \
    } while (0)

#define OK(call) CHECK((call) == HEARTWIRE_OK)

enum { SOON_MS = 10000 };

/* For what announces itself to nobody: a count that another thread keeps. */
#define EVENTUALLY(condition)                                                                                 \
    do {                                                                                                      \
        int tries = SOON_MS;                                                                                  \
        while (!(condition) && tries-- > 0) {                                                                 \
            struct timespec one_ms = {0, 1000000};                                                            \
            nanosleep(&one_ms, NULL);                                                                         \
        }                                                                                                     \
        CHECK(condition);                                                                                     \
    } while (0)

/* Frees a loop that another thread is about to leave. */
static inline void free_loop_soon(heartwire_loop *event_loop) {
    heartwire_status status = HEARTWIRE_ERR_BUSY;
    EVENTUALLY(status == HEARTWIRE_OK || (status = heartwire_loop_free(event_loop)) == HEARTWIRE_OK);
}

#endif
