/** For configurations written in TypeScript: the types of everything, checked again by the schema at start. */
import type { Setup } from './loaded.ts'
import type { WrittenConfig, WrittenIntegration } from './schema.ts'

/** An integration with its name: what `defineIntegration` gives. */
export type NamedIntegration = WrittenIntegration & { readonly name: string }

/** What `definePipeline` of the engine gives, by its shape. */
export interface CodePipeline {
  readonly name: string
  readonly steps: ReadonlyMap<string, unknown>
}

/** What can be given in code: all that can be written in YAML, and lists of what `define...` gives, and code. */
export type ConfigInput = Omit<WrittenConfig, 'integrations' | 'pipelines'> & {
  readonly integrations?: NonNullable<WrittenConfig['integrations']> | readonly NamedIntegration[]
  /** Declarative ones by name, or a list of those made with `definePipeline`. */
  readonly pipelines?: NonNullable<WrittenConfig['pipelines']> | readonly CodePipeline[]
  /** Called before anything starts; what it gives is called after everything ended. */
  readonly setup?: Setup
}

/** Gives back what it gets: it is there for the types, in `holdfast.config.ts`. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config
}

/** An integration as a value, for the `integrations` list of a configuration. */
export function defineIntegration<Written extends WrittenIntegration>(
  name: string,
  integration: Written,
): Written & { readonly name: string } {
  return { ...integration, name }
}
