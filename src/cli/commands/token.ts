import type { Command } from 'commander'
import { SCOPES, type Scope } from '../../config/gateway-settings.ts'
import { configurationError } from '../../core/errors.ts'
import { EXIT } from '../exit-codes.ts'
import { scopeList } from '../option-parsers.ts'
import type { Registrar } from '../registrar.ts'

const NAME = /^[a-zA-Z][a-zA-Z0-9_-]{0,63}$/

export function define(command: Command, registrar: Registrar): void {
  command.description('Makes tokens for the gateway. The configuration holds their hashes, their users hold them.')
  registrar.examples(command, [
    ['holdfast token create clay --scopes submit', 'may send records, and see nothing'],
    ['holdfast token create ci --scopes submit,read', 'may also look'],
    ['holdfast token create ada --scopes operate', 'may repair, and look'],
  ])
  const create = command
    .command('create <name>')
    .description('Makes a token and prints it, once, with what to put into the configuration.')
    .requiredOption('--scopes <scopes>', `what it allows, separated by commas: ${SCOPES.join(', ')}`, scopeList)
  registrar.handle<{ scopes: readonly Scope[] }>(create, async ({ output }, { scopes }, [name = '']) => {
    if (!NAME.test(name)) {
      throw configurationError(
        'invalid_token_name',
        `"${name}" cannot be the name of a token`,
        'Use letters, digits, - and _, starting with a letter.',
      )
    }
    const [{ createToken }, { systemRandom }] = await Promise.all([
      import('../../gateway/tokens.ts'),
      import('../../system/system-random.ts'),
    ])
    const { token, settings } = createToken(name, scopes, systemRandom)
    output.result({ token, ...settings }, () =>
      [
        token,
        '',
        'gateway:',
        '  tokens:',
        `    - { name: ${name}, scopes: [${scopes.join(', ')}], hash: "${settings.hash}" }`,
      ].join('\n'),
    )
    output.note('The token is shown only now: give it to its user, and put the lines below it into the configuration.')
    output.next('holdfast serve', 'once they are there')
    return EXIT.done
  })
}
