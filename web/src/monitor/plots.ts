// What happened in the last minutes, as lines.

import uPlot from 'uplot'
import { bytes, count, trip } from './text.ts'
import { colour, onTheme } from './theme.ts'

const KEPT = 300 // points, one a second
const SHOWN = 60 // seconds, at least

interface Line {
	name: string
	colour: string // of the style sheet
}

/** Plot has one line a series over time; a null is a gap. */
export class Plot {
	#times: number[] = []
	#values: (number | null)[][]
	#plot: uPlot | null = null

	constructor(
		private readonly figure: HTMLElement,
		private readonly lines: Line[],
		private readonly text: (value: number) => string,
		private readonly least: number, // that the axis goes up to
	) {
		this.#values = lines.map(() => [])
		this.#build()
		onTheme(() => this.#build())
		new ResizeObserver(() => this.#resize()).observe(figure)
	}

	/** add adds a point in time, in milliseconds. */
	add(time: number, values: (number | null)[]): void {
		this.#times.push(time / 1000)
		values.forEach((v, i) => this.#values[i]!.push(v))
		if (this.#times.length > KEPT) {
			this.#times.shift()
			for (const line of this.#values) line.shift()
		}
		this.#update()
	}

	#update(): void {
		this.#plot?.setData(this.#data())
		if (this.#plot?.cursor.idx == null) this.#plot?.setLegend({ idx: this.#times.length - 1 })
	}

	clear(): void {
		this.#times = []
		this.#values = this.lines.map(() => [])
		this.#update()
	}

	#data = (): uPlot.AlignedData => [this.#times, ...this.#values]
	#width = (): number => Math.max(120, this.figure.clientWidth - 32)
	#resize(): void {
		const width = this.#width()
		if (this.#plot && this.#plot.width !== width) this.#plot.setSize({ width, height: this.#plot.height })
	}

	#build(): void {
		this.#plot?.destroy()
		const axis: uPlot.Axis = {
			stroke: colour('faint'),
			font: '11px system-ui, sans-serif',
			grid: { stroke: colour('line'), width: 1 },
			ticks: { show: false },
		}
		this.#plot = new uPlot(
			{
				width: this.#width(),
				height: 130,
				cursor: { y: false, drag: { x: false, y: false } },
				legend: { markers: { fill: (_, i) => colour(this.lines[i - 1]?.colour ?? 'faint') } },
				scales: {
					x: { range: (_, first, last) => [Math.min(first, last - SHOWN), last] },
					y: { range: (_, __, most) => [0, Math.max(this.least, most * 1.1)] },
				},
				axes: [
					{ ...axis, size: 24, space: 80, incrs: [5, 10, 15, 20, 30, 60, 120], values: (_, at) => at.map(t => new Date(t * 1000).toLocaleTimeString('en-GB')) },
					{ ...axis, size: 64, space: 28, values: (_, at) => at.map(this.text) },
				],
				series: [
					{},
					...this.lines.map(
						(l): uPlot.Series => ({
							label: l.name,
							stroke: colour(l.colour),
							fill: this.lines.length === 1 ? `color-mix(in srgb, ${colour(l.colour)} 15%, transparent)` : undefined,
							width: 1.75,
							points: { show: false },
							value: (_, v) => (v == null ? '–' : this.text(v)),
						}),
					),
				],
			},
			this.#data(),
			this.figure,
		)
	}
}

export const messagesPlot = (figure: HTMLElement): Plot =>
	new Plot(figure, [{ name: 'messages', colour: 'accent' }], v => `${count(v)}/s`, 5)

export const bytesPlot = (figure: HTMLElement): Plot =>
	new Plot(
		figure,
		[
			{ name: 'messages', colour: 'accent' },
			{ name: 'transfers', colour: 'server' },
			{ name: 'links in', colour: 'good' },
			{ name: 'links out', colour: 'slow' },
		],
		v => `${bytes(v)}/s`,
		1000,
	)

export const latencyPlot = (figure: HTMLElement): Plot =>
	new Plot(
		figure,
		[
			{ name: 'median', colour: 'good' },
			{ name: '95th percentile', colour: 'slow' },
		],
		trip,
		5,
	)
