/* Groups of nodes on their way to steps, and which of them depend on which (groups.c).
 *
 * A group depends on another when one of its nodes reads one of the other's, directly or through further
 * groups. Groups may take in nodes and become one as long as none comes to depend on itself: callers ask
 * before. They are kept in an order in which each stands behind what it depends on, so that a question is
 * answered by what stands between two groups.
 *
 * Far questions need no search at all. Most of a network lies on or beside one longest path of nodes, its
 * trunk, which leads through the forward pass, the loss and the backward pass. A group knows the furthest
 * place of the trunk that it depends on, and the nearest that depends on it. */
#ifndef COMPILE_GROUPS_H
#define COMPILE_GROUPS_H

#include "graph/graph.h"

typedef struct fcl_groups fcl_groups;

/* Without any group; readers and what is needed are known. */
fcl_groups *fcl_groups_create(const fcl_graph *graph);
/* One of each step that nodes have; the steps are in the order of running. */
fcl_groups *fcl_groups_of_steps(const fcl_graph *graph, int steps);
void fcl_groups_destroy(fcl_groups **groups);

/* The group of what a node reads; -1: it has none, as leaves. */
int fcl_groups_find(const fcl_groups *groups, const fcl_tensor *input);
/* A new group of one node, whose inputs are in groups by now. Returns its number: they count from 0. */
int fcl_groups_add(fcl_groups *groups, const fcl_tensor *node);
/* The node becomes one of the group's; nothing that it reads leads back to the group. */
void fcl_groups_join(fcl_groups *groups, int group, const fcl_tensor *node);
/* The nodes of `from` become nodes of `to`; no detour leads from one to the other. */
void fcl_groups_merge(fcl_groups *groups, int to, int from);

/* Does anything that the node reads outside the group depend on the group? */
bool fcl_groups_lead_back(fcl_groups *groups, const fcl_tensor *node, int group);
/* Does group `from` depend on group `on` by way of a third one? */
bool fcl_groups_detour(fcl_groups *groups, int from, int on);
/* Does it in any way? */
bool fcl_groups_depend(fcl_groups *groups, int from, int on);

/* Nodes that the questions so far have looked at. */
int64_t fcl_groups_visits(const fcl_groups *groups);

#endif
