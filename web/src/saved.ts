// The sends that outlive their page (JoinOptions.persist).

import type { Codec, Frame } from './codec.ts'
import { jsonCodec } from './codec-json.ts'
import { Failure } from './error.ts'
import type { ClientMessage } from './message.ts'
import type { Entry, Outbox } from './outbox.ts'
import { sizeOf } from './payload.ts'
import type { Ticket } from './ticket.ts'

const most = 1024 * 1024 // bytes of them

type Sending = Extract<ClientMessage, { op: 'send' }>

/** What waits in an outbox, for the next page. */
export function save(outbox: Outbox, codec: Codec): Pick<Ticket, 'sends' | 'sealed'> {
  const first = outbox.first(most)
  const text = (frame: Frame) => jsonCodec.encode(codec.decode(typeof frame === 'string' ? frame : frame.buffer) as ClientMessage) as string
  return { sends: first.map(({ frame }) => text(frame)), sealed: first.filter(({ seal }) => seal).map(({ seq }) => seq) }
}

/**
 * Puts the sends of an earlier page into the outbox of `room`, and returns them. What is encrypted says
 * who has sent it, and cannot be sealed anew here: it is refused once others know us by other ids.
 */
export function restore(
  { sends, sealed, id, mesh }: Ticket,
  outbox: Outbox,
  codec: Codec,
  room: { id: string; meshId: string },
  settle: Entry['settle'],
): Sending[] {
  return sends.map((text) => {
    const message = jsonCodec.decode(text) as unknown as Sending
    const { seq, channel } = message
    const frame = codec.encode(message)
    const seal = () => {
      const text = `channel ${channel}: an encrypted send of the page before: nobody could read it, since our peer id is another now`
      if (room.id === id && room.meshId === mesh) outbox.fill(entry, frame)
      else outbox.refuse(seq, new Failure('unreadable', text))
    }
    const entry: Entry = { seq, size: sizeOf(frame), frame, gone: true, settle, ...(sealed.includes(seq) && { seal }) }
    outbox.restore(entry)
    return message
  })
}
