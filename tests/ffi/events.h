/* Events as a program that takes them with heartwire_next_event waits for them. */
#ifndef EVENTS_H
#define EVENTS_H

#include "check.h"

/* Takes events until one of this kind comes, and returns that. Each has a text. */
static inline heartwire_event *next(heartwire_client client, heartwire_event_type kind) {
    for (;;) {
        heartwire_event *event = NULL;
        OK(heartwire_next_event(client, SOON_MS, &event));
        CHECK(*heartwire_event_text(event) != '\0');
        if (heartwire_event_kind(event) == kind) {
            return event;
        }
        heartwire_event_free(event);
    }
}

static inline heartwire_outcome_info next_outcome(heartwire_client client) {
    heartwire_event *event = next(client, HEARTWIRE_EVENT_OUTCOME);
    heartwire_outcome_info info;
    info.size = sizeof info;
    OK(heartwire_event_outcome(event, &info));
    heartwire_event_free(event);
    return info;
}

#endif
