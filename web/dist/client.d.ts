/** Options of {@link join}. */
export interface JoinOptions {
    /** The room's password, where it has one. */
    password?: string;
    /** A token, where the server wants one; a function is asked for it at each connect. */
    token?: string | (() => string | Promise<string>);
    /**
     * What carries the messages. `websocket` (default) goes wherever HTTP does. `webrtc` is a data channel over
     * UDP, where a lost packet holds up little. `auto` is WebRTC where it opens within 5 s, and a WebSocket where it
     * does not: then WebRTC is tried again now and then, and the session moves over when it opens, with nothing
     * lost; when UDP is blocked later it goes on over a WebSocket. Over WebRTC a message has 64 KiB at most, data and
     * meta, where a WebSocket takes 2 MiB: more goes as a transfer, which messages may overtake, and on an
     * encrypted channel is refused with `too_large`, as is a request to the graph of more than 128 KiB. Node and
     * workers have no WebRTC: `auto` is a WebSocket there, `webrtc` is refused with `unsupported`.
     */
    transport?: 'auto' | 'webrtc' | 'websocket';
    /** The encoding on the wire. `msgpack` (default) carries bytes as they are; `json` can be read in the browser's network panel, and goes over WebSockets only. */
    protocol?: 'msgpack' | 'json';
    /** How long to try for the first connection, in milliseconds. Default 10,000. */
    timeout?: number;
    /** How many of the room's recent messages you want when you come in, at most 1,000. Default none. */
    history?: number;
    /**
     * Keeps the session when the page is reloaded, in sessionStorage: same peer id, and the messages
     * that came meanwhile. Sends that were not acknowledged go on too, the first 1 MiB of them; what
     * becomes of them the next page hears by {@link RoomEvents.error} alone. One whose Blob is still
     * being read, or which is still being encrypted, is not among them; one that is encrypted is refused
     * with `unreadable` if the session was lost, or {@link Room.meshId} has changed: it says who has sent it.
     * Transfers end with the page, in both directions, and so does everything when the page crashes.
     * Others see you leave only when the session's time is up. Default false: a page that ends leaves
     * the room.
     */
    persist?: boolean;
}
/** What went wrong: `code` is stable, `message` is for people. */
export interface RoomError extends Error {
    /**
     * A code of the session protocol (docs/gateway.md, 'error'), or one of the client's own:
     * - `bad_url`: the address is not one of http, https, ws or wss
     * - `timeout`: the server was not reached in time, or a ping was not answered
     * - `not_found`: the server has no room of that name
     * - `forbidden`: the server refuses pages of this origin, or the token does not allow this room or channel
     * - `refused`: the server ended the session for good
     * - `resumed_elsewhere`: another page or program has gone on with this session
     * - `disconnected`: a ping was wanted without a connection, or the connection was lost under it
     * - `queue_full`: more than 16 MiB of sends or of requests to the graph, 1,000 transfers or 1,000 requests would wait for the server
     * - `nobody`: a transfer has no recipient left
     * - `corrupt`: what has come of a transfer is not what was sent
     * - `unreadable`: a message on an encrypted channel is not encrypted, or by another passphrase, or
     *   was changed or repeated under another name on the way; or an encrypted send of the page before
     *   this one (`persist`) is not sent, since others know us by another id now
     * - `insecure_context`: encryption is wanted on a page that is neither of https nor of localhost
     * - `unsupported`: {@link Database.map} was asked for something that it cannot do, or there is no WebRTC here
     * - `left`: the room was left
     */
    readonly code: string;
}
/** A peer that you are connected to. */
export interface Peer {
    /** What it declares about itself: `superpeer` for a server, `session` for a client like this one, undefined for a browser. It proves nothing. */
    type?: string;
}
/** A send that did not reach one of its recipients; all others are unaffected. */
export interface Undelivered {
    /** The recipient. Undefined with `gone`: the server was started anew, and some of the browsers may not have the send. */
    peer?: string;
    /** `too_large`, `unknown_peer`, `slow`, `forbidden`, `other_cell`, `gone`, `busy`, `refused` or `corrupt`, see docs/gateway.md. */
    error: string;
    /** The same for people. */
    message: string;
    /** The channel of the send; undefined if the client no longer remembers it. */
    channel?: string;
    /** The meta of the send; undefined if it had none or the client no longer remembers it. */
    meta?: unknown;
}
/** The end of a connection. */
export interface Closing {
    /** The close code (docs/gateway.md, 'The end'), 1006 where the connection was lost without one. */
    code: number;
    /** The server's reason, for people; may be empty. */
    reason: string;
    /** Whether this is the end of the room. If not, the client is reconnecting, and nobody has left. */
    final: boolean;
    /** Why the room has ended, if it was not left. */
    error?: RoomError;
}
/** The events of a room with the arguments that their listeners get. */
export interface RoomEvents {
    /** You are connected with that peer now: messages pass. */
    'peer:join': [peerId: string, type?: string];
    /** You are no longer. */
    'peer:leave': [peerId: string, type?: string];
    /** The peer has announced itself; you may not be connected yet. Repeats. */
    'peer:seen': [peerId: string, type?: string];
    /** The peer has said goodbye. */
    'peer:lost': [peerId: string, type?: string];
    /** Our place in the room's cells after a seal; null when the room has no cells any more. */
    'mesh:state': [state: MeshState | null];
    /** The place of another peer: after a seal one for each. They are asked for where somebody listens. */
    'mesh:peer-state': [peer: MeshPeer & {
        readonly id: string;
        readonly timestamp: number;
    }];
    /** A send did not reach one of its recipients. */
    result: [undelivered: Undelivered];
    /** What {@link Room.state} has become. While reconnecting it comes twice for each try: when it is waited for, and when it begins. */
    state: [state: RoomState];
    /** The room is connected again. The first connection is {@link join} itself. */
    open: [peerId: string];
    /** The connection ended. Comes again, as final, if the server refuses our return; `peer:leave` for every peer follows then. */
    close: [closing: Closing];
    /**
     * The server could not go on with our session, so that messages may be missing; what was not
     * acknowledged is sent again and may arrive twice. `reason` is `expired`, `overflow`, `left` or
     * `unknown` (docs/gateway.md, 'hello and welcome'). `peer:leave` follows for every peer, then
     * {@link Room.id} is another, and `open` and `peer:join` come.
     */
    'session:lost': [reason: string];
    /**
     * The server complained about something that is no send; or a send of the page before this one
     * (`persist`) was refused; or a message could not be decrypted (`unreadable`), and was dropped.
     */
    error: [error: RoomError];
}
/** What a room is doing, for user interfaces. */
export type RoomState = 
/** Before {@link join} resolves. */
{
    readonly status: 'connecting';
} | {
    readonly status: 'open';
    /** What carries the messages. The event comes again when the session has moved to another. */
    readonly transport: 'webrtc' | 'websocket';
}
/**
 * The connection was lost. The client dials again after 0.5 s, then twice as long each time up to 30 s,
 * half of it at random; at once when the browser is online again or the page is looked at again.
 */
 | {
    readonly status: 'reconnecting';
    /** Counts the tries from 1. */
    readonly attempt: number;
    /** When that try begins, as Date.now() has it; undefined while it is under way. */
    readonly next?: number;
    /** What went wrong, for people. */
    readonly reason: string;
}
/** For good; the code is `left` if the room was left. */
 | {
    readonly status: 'closed';
    readonly error: RoomError;
};
/** The events of a channel with the arguments that their listeners get. */
export interface ChannelEvents {
    /** A message has arrived, or a transfer as a whole. Bytes are a Uint8Array. `history`: it was sent before we came. */
    message: [data: any, peerId: string, meta: any, history: boolean];
    /** A transfer, or a message of several frames, is arriving; `fraction` rises to 1. Of a transfer, what was taken. */
    progress: [fraction: number, peerId: string, meta: any];
    /** A transfer begins. Unless a listener streams or cancels it, it becomes a `message` when it is whole. */
    transfer: [transfer: IncomingTransfer];
}
/** A payload that a session is sending to us. */
export interface IncomingTransfer {
    /** Who sends it. */
    readonly peer: string;
    readonly meta: any;
    /** Bytes. */
    readonly size: number;
    /** What the bytes are; `text` and `json` are UTF-8. */
    readonly kind: 'bytes' | 'text' | 'json';
    /** Aborted when it ends before it is whole: cancelled at either end, or the sender has gone. */
    readonly signal: AbortSignal;
    /**
     * Takes the bytes as they come instead of as one message, which may have 256 MiB at most. Call
     * it in the listener. The sender waits for who reads. The stream ends when all bytes have come
     * and are right, and fails otherwise.
     */
    stream(): ReadableStream<Uint8Array>;
    /** Ends it for us. The sender is told the reason. */
    cancel(reason?: string): void;
}
/** How far a send has come to one recipient: of a transfer, what that one has. `fraction` rises to 1. */
export type OnProgress = (fraction: number, peerId: string, meta: any) => void;
/** Options of {@link Channel.send}. */
export interface SendOptions {
    /** A peer id, an array of them, or null (default) for everybody. */
    to?: string | string[] | null | undefined;
    /** A JSON value that travels beside the data; browsers accept it only beside bytes. */
    meta?: unknown;
    progress?: OnProgress | undefined;
    /** Cancels a transfer, for all its recipients, or a message that has not gone out yet; `send` rejects with its reason. */
    signal?: AbortSignal | undefined;
}
/** Options of {@link Room.channel}. */
export interface ChannelOptions {
    /**
     * Encrypts the channel end to end between those who have the passphrase, sessions with this client
     * or another one (docs/gateway.md, 'End-to-end encryption'). The server sees who sends how much to
     * whom, not what. One that can be guessed can be found by whoever records messages. Such a channel
     * has no transfers yet: data and meta together are a message at most (2 MiB, where the server does
     * not say otherwise).
     */
    passphrase?: string;
}
/** A named stream of messages in a room. */
export interface Channel {
    readonly name: string;
    /**
     * Sends one message to everybody, or as the options say.
     *
     * `data` is a string, bytes (ArrayBuffer, typed array, DataView, Blob or File), or any value that
     * JSON can say; bytes may be the whole of it, not a part of it. It is read before `send` returns, a
     * Blob later. What is larger than a message may be goes as a transfer: sessions get it whatever
     * its size, browsers up to 1.6 MB.
     *
     * The promise of a message resolves when the server has acknowledged it, that of a transfer when
     * each recipient has it or was given up. It rejects with a {@link RoomError} when it was refused.
     * A recipient that was not reached is reported by the room's `result` event.
     *
     * Sends wait while there is no connection, up to 16 MiB of messages and 1,000 transfers; more is
     * refused with `queue_full`, and nothing that waits is dropped for it. They arrive once, and messages
     * in order, unless the session was lost (`session:lost`).
     */
    send(data: unknown, options?: SendOptions): Promise<void>;
    /** The same as GenosDB has it. */
    send(data: unknown, targets?: string | string[] | null, meta?: unknown, onProgress?: OnProgress): Promise<void>;
    on<E extends keyof ChannelEvents>(event: E, listener: (...args: ChannelEvents[E]) => void): void;
    off<E extends keyof ChannelEvents>(event: E, listener: (...args: ChannelEvents[E]) => void): void;
}
/** The place of a peer in the cells of its room. */
export interface MeshPeer {
    /** Such as `cell-2`. */
    readonly cell: string;
    readonly isBridge: boolean;
    /** The cells that it bridges with its own. */
    readonly bridges: string[];
}
/** Our own place, as GenosDB's `mesh.getState()` has it, but for `roster`: see {@link Mesh.getStableRoster}. */
export interface MeshState {
    /** Counts the seals, each of which fixes anew who is in which cell. */
    readonly epoch: number;
    /** Whose place it is: {@link Room.meshId}. */
    readonly peer: string;
    readonly cellId: string;
    readonly isBridge: boolean;
    readonly bridges: string[];
    /** How many peers a cell is to have. */
    readonly cellSize: number;
    readonly totalCells: number;
    /** How many of them are not empty. */
    readonly knownCells: number;
    readonly totalPeers: number;
    readonly dynamicTTL: number;
    /** Some peers use cells and some do not; the server carries messages between them. */
    readonly mixed?: true;
}
/**
 * The cellular mesh of a room (GenosDB's option `cells`), with GenosDB's calls. The server takes part in it
 * for us; {@link Channel}s reach the whole room. Other than in GenosDB, what is asked of all peers is
 * asked of the server, bytes arrive as bytes between clients like this one, and `message` does not repeat the
 * messages of channels.
 */
export interface Mesh {
    /** Sends to everybody who listens here. In browsers these are those of a room with cells; they take JSON and strings. */
    readonly send: Channel['send'];
    /** Listens, as on a {@link Channel}, and returns what ends it. */
    on<E extends keyof ChannelEvents>(event: E, listener: (...args: ChannelEvents[E]) => void): () => void;
    /** {@link Room.ping} */
    ping(peerId: string): Promise<number>;
    /** Our place; null in a room without cells, and before the first seal that has us. */
    getState(): MeshState | null;
    getCellSize(): number | null;
    /** All peers of the last seal, by peer id; none in a room without cells. Rejects with `disconnected` without a connection. */
    getPeerInfo(): Promise<Map<string, MeshPeer>>;
    /** Their ids. */
    getStableRoster(): Promise<string[]>;
}
/** A node of the room's graph. */
export interface GraphNode {
    readonly id: string;
    /** Any JSON value; of a node that was removed, undefined. */
    readonly value: any;
    /** The ids of the nodes that it is linked to; in a watch they may name some that were removed. */
    readonly edges: string[];
    /** When it was changed last, by GenosDB's hybrid logical clock: `physical` is in Unix milliseconds. */
    readonly timestamp?: {
        physical: number;
        logical: number;
    } | undefined;
    /** The place of its last change in the order of all changes of the graph. */
    readonly seq: number;
}
/** A node that was changed, or removed. */
export interface GraphChange extends GraphNode {
    readonly removed: boolean;
}
/** Options of the writes of a {@link Graph}. */
export interface WriteOptions {
    /** What the node must be for the change to be made: not there, there, or unchanged since that timestamp. Else it fails with `changed`. */
    expect?: 'absent' | 'exists' | GraphNode['timestamp'];
}
/** Options of {@link Graph.watch}. */
export interface WatchOptions {
    /** What the ids begin with. */
    prefix?: string;
    /** What changed after the change with that {@link GraphNode.seq} comes first; with 0 the whole graph. Without it only what changes from now on. */
    after?: number;
}
/** A watch that has begun. */
export interface GraphWatch {
    /**
     * Resolves when all that there was has come, with the seq up to which it has. Rejects with a {@link RoomError}
     * if the server refuses the watch (later, after a reconnect, the room's `error` event tells), and with
     * `unsubscribed` if that comes first.
     */
    readonly ready: Promise<number>;
    unsubscribe(): void;
}
/**
 * The graph of the room, as the server keeps it on its disk (docs/gateway.md, 'The graph').
 *
 * Calls wait while there is no connection, up to 1,000 and 16 MiB of them; more is refused with
 * `queue_full`. They are made in order, and resolve when the change is on the server's disk; browsers
 * hear of it too. They reject with a {@link RoomError}, such as `no_graph`, `forbidden` or `unknown_node`.
 * A write whose answer was lost with a connection is made again: without `expect` twice, and with it
 * it may fail by what it did itself.
 */
export interface Graph {
    /** Sets the value of a node, of a new one without `id`. Its edges stay. */
    put(value: unknown, id?: string, options?: WriteOptions): Promise<GraphNode>;
    /** Changes the fields that `patch` has, and removes those that are null in it (RFC 7396). */
    patch(patch: unknown, id: string, options?: WriteOptions): Promise<GraphNode>;
    remove(id: string, options?: WriteOptions): Promise<void>;
    /** Adds an edge from a node to another. */
    link(source: string, target: string, options?: WriteOptions): Promise<GraphNode>;
    /** A node, as it is after the calls before; undefined if there is none. */
    get(id: string): Promise<GraphNode | undefined>;
    /**
     * Tells of changes, in their order, over lost connections too: of a node that changed several times
     * meanwhile the last. A room can have 16 watches.
     */
    watch(options: WatchOptions, callback: (change: GraphChange) => void): GraphWatch;
}
/** A room that was joined. It reconnects by itself until it is left or the server refuses it for good. */
export interface Room {
    /** The name that was given to {@link join}. */
    readonly name: string;
    /** Your peer id, for the life of the session. */
    readonly id: string;
    /** The same as {@link id}. */
    readonly selfId: string;
    /** `session`: browsers see you as a peer of your own. `server`: browsers see the server's peer in your place. */
    readonly identity: 'session' | 'server';
    /** The id under which browsers see you, where it is not {@link id}; it changes when the server is started again. */
    readonly meshId: string;
    readonly state: RoomState;
    /** The cells of the room, where it has some. */
    readonly mesh: Mesh;
    /** The room's graph, where the server keeps one. */
    readonly graph: Graph;
    /**
     * The channel of that name, the same one each time; options hold from the call on that has them.
     * Throws if the name is not 1 to 12 bytes of UTF-8, or begins with `@_` and is not `@_mesh`.
     */
    channel(name: string, options?: ChannelOptions): Channel;
    /**
     * Listens to an event. Listeners that are added in the same turn in which {@link join} resolved
     * miss nothing: `peer:join` fires for every peer that is here already. A listener that throws
     * is reported and disturbs no other.
     */
    on<E extends keyof RoomEvents>(event: E, listener: (...args: RoomEvents[E]) => void): void;
    off<E extends keyof RoomEvents>(event: E, listener: (...args: RoomEvents[E]) => void): void;
    /** The peers that you are connected to now, by peer id. While reconnecting, those of before. */
    getPeers(): Record<string, Peer>;
    /** The round trip to a peer, or without one to the server, in milliseconds. Rejects with a {@link RoomError}. */
    ping(peerId?: string): Promise<number>;
    /** Leaves the room. Resolves when the connection has ended; messages before it are still acknowledged where the server answers within 2 s, and otherwise rejected, as transfers are. */
    leave(): Promise<void>;
}
/**
 * Joins a room and resolves when the server has welcomed us.
 *
 * `url` is where the server's handler is mounted: `https://host/genosrtc`, `wss://host/genosrtc`,
 * or relative to the page, `/genosrtc`. Null means the folder that this module was loaded from.
 * `room` is the database name that a GenosDB application passes to `gdb(name)`.
 *
 * Rejects with a {@link RoomError}: at once if the server refuses for good (wrong password, no
 * such room), else when `options.timeout` has passed.
 */
export declare function join(url: string | URL | null, room: string, options?: JoinOptions): Promise<Room>;
/** Options of {@link gdb}; those of GenosDB's that are no business of this server are ignored, such as `rtc`. */
export interface DatabaseOptions extends JoinOptions {
    /** Where the server's handler is mounted, as {@link join} takes it. Default: the folder that this module was loaded from. */
    url?: string | URL | null;
    [ofGenosDB: string]: unknown;
}
/** A node as {@link Database} has it. */
export type DatabaseNode = Omit<GraphNode, 'seq'>;
/** Options of {@link Database.map}; others of GenosDB's are refused with `unsupported`. */
export interface MapOptions {
    /** Fields and what they are, or `$eq $ne $gt $gte $lt $lte $in $exists $startsWith`, combined by `$and $or $not`. */
    query?: Record<string, any>;
    /** The field by which the results are ordered. */
    field?: string;
    order?: 'asc' | 'desc';
    /** How many results; not with a callback. */
    $limit?: number;
    /** Whether the callback hears of changes. Default true. */
    realtime?: boolean;
}
/** What {@link Database.map} tells. */
export type MapCallback = (node: DatabaseNode & {
    action: 'initial' | 'added' | 'updated' | 'removed';
}) => void;
/**
 * What {@link gdb} resolves with: of GenosDB's database the room, and where the server keeps the graph
 * the calls for it. They go to the server; nothing is kept here.
 */
export interface Database {
    readonly room: Room;
    /** {@link Room.id} */
    readonly selfId: string;
    /** Sets a node's value and resolves with its id. Without one it is random, not made of the value. */
    put(value: unknown, id?: string): Promise<string>;
    /** A node, or null. The callback hears of it at once, and of its changes; null when it is removed. */
    get(id: string, callback?: (node: DatabaseNode | null) => void): Promise<{
        result: DatabaseNode | null;
        unsubscribe?: () => void;
    }>;
    remove(id: string): Promise<void>;
    link(source: string, target: string): Promise<void>;
    /** The nodes that fit, and by the callback their changes. All nodes of the graph come to this page for it. */
    map(...args: (MapOptions | MapCallback)[]): Promise<{
        results: DatabaseNode[];
        unsubscribe?: () => void;
    }>;
}
/**
 * Joins the room of a database as GenosDB does, so that an application written for `db.room`, or for the
 * simple calls of its graph, changes nothing but its import. Resolves and rejects as {@link join} does.
 *
 *     import { gdb } from 'https://example.com/genosrtc/client.js'
 *     const db = await gdb('demo', { rtc: true })
 *     db.room.channel('chat').send('hello')
 *
 * Audio and video are GenosDB's alone.
 */
export declare function gdb(name: string, options?: DatabaseOptions): Promise<Database>;
