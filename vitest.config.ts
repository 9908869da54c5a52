import { defineConfig } from 'vitest/config'

export default defineConfig({
  // Examples import the package by its name: as it is here, not as it was built.
  ssr: { resolve: { conditions: ['holdfast-source', 'module', 'node'] } },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'examples/**/*.test.ts'],
    // Real parts (child processes, servers, fsync) share two cores on a small machine.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    pool: 'forks',
    maxWorkers: 2,
    reporters: process.env.CI ? ['default'] : ['default'],
  },
})
