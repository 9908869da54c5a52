import { HoldfastError } from '../core/errors.ts'

export function noSuchItem(id: string): HoldfastError {
  return new HoldfastError({
    code: 'item_not_found',
    class: 'not_found',
    message: `There is no item "${id}"`,
    hint: 'Its id is that of its run, a dot and the name of its step; `holdfast items` lists them.',
    details: { id },
  })
}
