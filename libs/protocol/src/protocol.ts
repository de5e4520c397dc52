/**
 * The number of the form in which services of a cluster talk to each other: tasks, entries of queues, heartbeats and
 * records. It is raised when a reader of the form before would compute something else or nothing. A field that a reader
 * may leave out needs no new number: readers ignore what they do not know. Forms 1 and 2 differ in that only: releases
 * of form 1 refuse tasks with other fields, and name no number.
 */
export const PROTOCOL = 2;

/** The form of what names no number, and the oldest that this release reads and writes. */
export const OLDEST_PROTOCOL = 1;
