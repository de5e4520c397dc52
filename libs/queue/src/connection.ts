/**
 * What the queues and records are reached by: one server, or a cluster of them, where our prefix keeps all keys on one
 * node.
 */
import { Cluster, type Redis } from 'ioredis';

export type Connection = Redis | Cluster;

/** A second connection like the first, for what occupies one: subscriptions and blocking reads. */
export function duplicate(connection: Connection): Connection {
  // The same call, of two types.
  return connection instanceof Cluster ? connection.duplicate() : connection.duplicate();
}
