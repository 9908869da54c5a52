/** Path templates: `/contacts/{id}`, `/files/{name}.json`, `/v1/*`. */

export interface EndpointTemplate {
  readonly method: string
  readonly pattern: RegExp
  /** `POST /v1/*`: what holds for all endpoints below, each of which keeps its own name. */
  readonly isFamily: boolean
  /** Literal parts: the template with more of them is the more exact one. */
  readonly literals: number
}

/** @param endpoint `METHOD /path` */
export function endpointTemplate(endpoint: string): EndpointTemplate {
  const space = endpoint.indexOf(' ')
  const path = endpoint.slice(space + 1)
  return {
    method: endpoint.slice(0, space),
    pattern: new RegExp(`^${pathSource(path)}$`),
    isFamily: path.endsWith('*'),
    literals: path.split('/').filter((part) => !part.includes('{')).length,
  }
}

/** As a regular expression: `{name}` stands for (a piece of) one part, `*` at the end for all that follows. */
export function pathSource(path: string): string {
  const [fixed, rest] = path.endsWith('*') ? [path.slice(0, -1), '.*'] : [path, '']
  const literals = fixed.split(/\{[^{}]*\}/).map((literal) => literal.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return literals.join('[^/]+') + rest
}

/** The more exact first: templates before families, then by literal parts. */
export function byExactness(one: EndpointTemplate, other: EndpointTemplate): number {
  return Number(one.isFamily) - Number(other.isFamily) || other.literals - one.literals
}
