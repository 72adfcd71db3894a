// Numbers as people read them.

export function bytes(n: number): string {
	const units = ['B', 'kB', 'MB', 'GB', 'TB']
	let unit = 0
	while (n >= 1000 && unit < units.length - 1) {
		n /= 1000
		unit++
	}
	return `${n >= 100 || unit === 0 || Number.isInteger(n) ? Math.round(n) : n.toFixed(1)} ${units[unit]}`
}

export const count = (n: number): string =>
	n >= 100 || Number.isInteger(n) ? Math.round(n).toLocaleString('en') : n.toFixed(1)

export const trip = (ms: number): string => (ms >= 100 ? `${Math.round(ms)} ms` : ms >= 10 ? `${ms.toFixed(1)} ms` : ms === 0 ? '0 ms' : `${ms.toFixed(2)} ms`)

export function duration(ms: number): string {
	const s = Math.max(0, Math.floor(ms / 1000))
	if (s < 60) return `${s} s`
	if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`
	if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`
	return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`
}

/** short is a peer id as it is shown. */
export const short = (id: string): string => (id.length > 13 ? `${id.slice(0, 12)}…` : id)
