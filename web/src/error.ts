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
