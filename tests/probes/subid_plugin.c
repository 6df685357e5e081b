/* A source of subordinate ids for libsubid, as sssd has one: user N owns COUNT ids from START on. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifndef OWNER
#define OWNER "skiff-test"
#define START 700000
#define COUNT 5000
#endif

enum subid_type { ID_TYPE_UID = 1, ID_TYPE_GID = 2 };
enum subid_status { SUBID_STATUS_SUCCESS = 0, SUBID_STATUS_UNKNOWN_USER = 1 };
struct subid_range {
	unsigned long start;
	unsigned long count;
};

enum subid_status shadow_subid_has_any_range(const char *owner, enum subid_type type, bool *result) {
	*result = strcmp(owner, OWNER) == 0;
	return SUBID_STATUS_SUCCESS;
}

enum subid_status shadow_subid_has_range(const char *owner, unsigned long start, unsigned long count,
					 enum subid_type type, bool *result) {
	*result = strcmp(owner, OWNER) == 0 && start >= START && start + count <= START + COUNT;
	return SUBID_STATUS_SUCCESS;
}

enum subid_status shadow_subid_list_owner_ranges(const char *owner, enum subid_type type,
						 struct subid_range **ranges, int *count) {
	*count = 0;
	*ranges = NULL;
	if (strcmp(owner, OWNER) != 0)
		return SUBID_STATUS_SUCCESS;
	*ranges = malloc(sizeof(**ranges));
	(*ranges)->start = START;
	(*ranges)->count = COUNT;
	*count = 1;
	return SUBID_STATUS_SUCCESS;
}

enum subid_status shadow_subid_find_subid_owners(unsigned long id, enum subid_type type, unsigned int **uids,
						 int *count) {
	*uids = NULL;
	*count = 0;
	return SUBID_STATUS_SUCCESS;
}
