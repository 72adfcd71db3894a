import type { RoomError } from './client.ts'

/** An Error with a stable code. */
export class Failure extends Error implements RoomError {
  override readonly name = 'RoomError'

  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

/** A Blob whose bytes are not to be had (any more). */
export function unreadable(error: unknown): Failure {
  return new Failure('bad_data', `data: it cannot be read: ${(error as Error).message}`)
}
