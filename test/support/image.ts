/**
 * Makes in a folder what a Dockerfile makes in an image, where there is no Docker. Copies are as Docker makes them. Packages are
 * those of the lockfile, taken from this checkout and not from a registry; users are left out.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type Instruction, instructionsOf, stagesOf } from './dockerfile.ts'

interface LockedPackage {
  readonly dev?: boolean
  readonly dependencies?: Readonly<Record<string, string>>
}

export interface Image {
  /** Of the last stage: what `/` is in the image. */
  readonly folder: string
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  readonly healthcheck: readonly string[]
}

interface Building {
  /** Of the checkout. */
  readonly root: string
  readonly folderOf: (stage: string) => string
  readonly folder: string
  workdir: string
}

/** @param folder where the stages go, each in a folder of its own */
export function makeImage(root: string, file: string, folder: string): Image {
  const stages = stagesOf(instructionsOf(readFileSync(join(root, file), 'utf8')))
  const names = new Set(stages.map(({ name }) => name))
  const folderOf = (stage: string) => join(folder, stage === '' ? 'image' : stage)
  for (const { base, name, instructions } of stages) {
    const building: Building = { root, folderOf, folder: folderOf(name), workdir: '/' }
    mkdirSync(building.folder)
    if (names.has(base)) {
      cpSync(folderOf(base), building.folder, { recursive: true })
      building.workdir = stages.find((stage) => stage.name === base)?.instructions.find(isWorkdir)?.text ?? '/'
    }
    for (const instruction of instructions) carryOut(building, instruction)
  }
  const last = stages.at(-1)?.instructions ?? []
  const words = (name: string) => last.find((one) => one.name === name)?.words ?? []
  const probe = last.find(({ name }) => name === 'HEALTHCHECK')?.text ?? ''
  return {
    folder: folderOf(''),
    entrypoint: words('ENTRYPOINT'),
    command: words('CMD'),
    healthcheck: JSON.parse(probe.slice(probe.indexOf('['))) as string[],
  }
}

function isWorkdir({ name }: Instruction): boolean {
  return name === 'WORKDIR'
}

function carryOut(building: Building, { name, text, words, flags }: Instruction): void {
  const { folder, root, folderOf } = building
  if (name === 'WORKDIR') {
    building.workdir = text
    mkdirSync(join(folder, text), { recursive: true })
  } else if (name === 'COPY') {
    const from = flags['from'] === undefined ? root : folderOf(flags['from'])
    const to = join(folder, building.workdir)
    for (const source of words.slice(0, -1)) copy(join(from, source), to, words.at(-1) ?? '.')
  } else if (name === 'RUN') {
    run(building, text)
  }
}

/** A file goes into the folder; the contents of a folder become the target. */
function copy(source: string, workdir: string, target: string): void {
  const to = target.endsWith('/') ? join(workdir, target, basename(source)) : join(workdir, target)
  cpSync(source, to, { recursive: true, filter: (file) => !file.endsWith('.test.ts') })
}

function run({ folder, root, workdir }: Building, text: string): void {
  const place = join(folder, workdir)
  if (text.startsWith('npm ci --omit=dev')) {
    copyPackages(root, place, (_path, { dev }) => !dev)
  } else if (text.startsWith('npm install')) {
    const driver = withWhatItNeeds(root, 'pg')
    copyPackages(root, place, (path) => driver.has(path))
  } else if (text.startsWith('npm ci')) {
    symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'))
  } else if (text === 'npm run build') {
    build(root, place)
  } else {
    for (const part of text.split(' && ')) prepare(folder, part.split(' '))
  }
}

function build(root: string, place: string): void {
  const PATH = `${join(root, 'node_modules', '.bin')}:${process.env['PATH']}`
  const built = spawnSync(process.execPath, ['tools/build.mjs'], { cwd: place, env: { PATH }, encoding: 'utf8' })
  if (built.status !== 0) throw new Error(`The build failed:\n${built.stdout}\n${built.stderr}`)
}

/** Links and folders, without their owners. */
function prepare(folder: string, [program = '', ...words]: readonly string[]): void {
  const last = join(folder, words.at(-1) ?? '')
  mkdirSync(program === 'ln' ? dirname(last) : last, { recursive: true })
  if (program === 'ln') symlinkSync(join(folder, words.at(-2) ?? ''), last)
  else if (program !== 'mkdir' && program !== 'install') throw new Error(`What is "${program}"?`)
}

function lockedPackages(root: string): Readonly<Record<string, LockedPackage>> {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockedPackage>
  }
  return lock.packages
}

function copyPackages(root: string, place: string, wanted: (path: string, one: LockedPackage) => boolean): void {
  for (const [path, one] of Object.entries(lockedPackages(root))) {
    if (path === '' || !wanted(path, one)) continue
    cpSync(join(root, path), join(place, path), {
      recursive: true,
      // Packages within a package stand in the lockfile by themselves.
      filter: (file) => file === join(root, path) || basename(file) !== 'node_modules',
    })
  }
}

/** The paths of a package and of all it depends on; none of ours has another version of them within itself. */
function withWhatItNeeds(root: string, name: string): ReadonlySet<string> {
  const packages = lockedPackages(root)
  const found = new Set<string>()
  const waiting = [name]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const path = `node_modules/${next}`
    if (found.has(path)) continue
    found.add(path)
    waiting.push(...Object.keys(packages[path]?.dependencies ?? {}))
  }
  return found
}
