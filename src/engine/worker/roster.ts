/**
 * A set whose members know their place in it. Where thousands come and go in a second, a `Map` is dear: V8 makes a new table
 * for every few hundred of them, and the old tables keep what was in them alive until the next major garbage collection.
 */
export interface Placed {
  /** The roster's own bookkeeping; -1: in none. A member is in one roster at a time. */
  place: number
}

export class Roster<Member extends Placed> implements Iterable<Member> {
  readonly #members: Member[] = []

  get size(): number {
    return this.#members.length
  }

  add(member: Member): void {
    member.place = this.#members.push(member) - 1
  }

  /** In no time, by putting the last member in its place. Does nothing where it is not in. */
  remove(member: Member): void {
    if (this.#members[member.place] !== member) return
    const last = this.#members.pop()
    if (last && last !== member) {
      this.#members[member.place] = last
      last.place = member.place
    }
    member.place = -1
  }

  [Symbol.iterator](): Iterator<Member> {
    return this.#members.values()
  }
}
