/** What a guest may take of its holder's descriptors: of each kind so many at a time. */

/** Ports of guests that UDP serves; the one that was silent longest makes room. */
export const MAX_ENDPOINTS = 1024;
/** Echo requests under way, by a socket each. */
export const MAX_PINGS = 128;
/** Questions to the DNS forwarder under way; the oldest of who asks most makes room. */
export const MAX_QUESTIONS = 256;
/**
 * Connections that are handed over to the kernel at a time: each is a rule that the guest's kernel goes through where it
 * looks for a route, and takes a socket and two pipes more than others.
 */
export const MAX_HANDED_OVER = 64;
export const HANDED_OVER_DESCRIPTORS = 5;
/** Connections to the DNS forwarder, two descriptors each; more are refused. */
export const MAX_STREAMS = 64;
