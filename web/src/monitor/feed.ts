// Asks the server for pictures of a room, one a second, for as long as somebody looks.

import type { Picture } from './picture.ts'

const EVERY = 1000
const PATIENCE = 10_000
const LONGEST = 10_000 // between two tries

export interface Challenge {
	password: boolean
	token: boolean
	detail: string
}

export interface Credentials {
	password?: string
	token?: string
}

/** Listener is told how it goes. After refused and unknown nothing more is asked. */
export interface Listener {
	picture(picture: Picture): void
	lost(reason: string, failures: number): void
	refused(challenge: Challenge): void
	unknown(detail: string): void
}

/** watch begins, and returns what ends it. */
export function watch(room: string, credentials: Credentials, cookies: RequestCredentials, listener: Listener): () => void {
	const over = new AbortController()
	const url = `rooms/${encodeURIComponent(room)}/monitor`
	const headers: Record<string, string> = {}
	if (credentials.token) headers.Authorization = `Bearer ${credentials.token}`
	else if (credentials.password) headers.Authorization = `Basic ${base64(`:${credentials.password}`)}`

	let timer = 0
	let failures = 0
	let asking = false
	const again = (after: number) => {
		if (!over.signal.aborted) timer = window.setTimeout(ask, after)
	}
	const failed = (reason: string) => {
		if (over.signal.aborted) return
		listener.lost(reason, ++failures)
		again(Math.min(LONGEST, EVERY * 2 ** (failures - 1)))
	}
	const ask = async () => {
		if (asking || over.signal.aborted) return
		if (document.hidden) return // until somebody looks
		asking = true
		const began = performance.now()
		try {
			const signal = AbortSignal.any([over.signal, AbortSignal.timeout(PATIENCE)])
			const response = await fetch(url, { headers, credentials: cookies, cache: 'no-store', signal })
			if (response.ok) {
				const picture = (await response.json()) as Picture
				if (over.signal.aborted) return
				failures = 0
				listener.picture(picture)
				again(Math.max(100, EVERY - (performance.now() - began)))
				return
			}
			const detail = await reason(response)
			if (over.signal.aborted) return
			if (response.status === 401 || response.status === 403) {
				const asked = response.headers.get('WWW-Authenticate') ?? ''
				over.abort()
				listener.refused({ password: /\bBasic\b/i.test(asked), token: /\bBearer\b/i.test(asked), detail })
			} else if (response.status === 404) {
				over.abort()
				listener.unknown(detail)
			} else failed(detail)
		} catch (error) {
			failed(error instanceof DOMException && error.name === 'TimeoutError' ? 'no answer' : 'not reached')
		} finally {
			asking = false
		}
	}
	const looked = () => {
		if (document.hidden) return
		clearTimeout(timer)
		void ask()
	}
	document.addEventListener('visibilitychange', looked)
	over.signal.addEventListener('abort', () => {
		clearTimeout(timer)
		document.removeEventListener('visibilitychange', looked)
	})
	void ask()
	return () => over.abort()
}

/** reason is what a problem document (RFC 9457) says. */
async function reason(response: Response): Promise<string> {
	const problem = await response.json().catch(() => ({}))
	return typeof problem.detail === 'string' ? problem.detail : `${response.status} ${response.statusText}`
}

function base64(text: string): string {
	return btoa(String.fromCharCode(...new TextEncoder().encode(text)))
}
