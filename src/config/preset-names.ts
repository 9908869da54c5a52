/** The tuning families of R052-R055, and what holds without one. */
export const PRESET_NAMES = ['default', 'crm', 'enrichment', 'sequencer', 'realtime'] as const

export type PresetName = (typeof PRESET_NAMES)[number]
