/** Stores that live in memory and end with it. */
const SHARED = /^file:\/[^?]+\?vfs=memdb$/

/**
 * The path of a store in memory that all connections of this process share which name it so: what several simulated processes work
 * on. It ends with its last connection. Unlike a file it has no write-ahead log, so that readers wait for the writer.
 */
export function sharedMemoryPath(name: string): string {
  return `file:/${encodeURIComponent(name)}?vfs=memdb`
}

export function isInMemory(path: string): boolean {
  return path === ':memory:' || SHARED.test(path)
}
