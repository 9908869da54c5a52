import type { ProfileSamples } from '../../../config/profile.ts'

const correlationId = '7c1d0e0a-52f3-4f8e-9c7b-0c6a3f1d2e4b'

export const hubspotSamples: ProfileSamples = {
  'daily-quota-spent': [
    {
      status: 429,
      headers: { 'x-hubspot-ratelimit-daily': '250000', 'x-hubspot-ratelimit-daily-remaining': '0' },
      body: {
        status: 'error',
        message: 'You have reached your daily limit.',
        errorType: 'RATE_LIMIT',
        policyName: 'DAILY',
        correlationId,
      },
    },
  ],
  'secondly-limit': [
    {
      status: 429,
      body: {
        status: 'error',
        message: 'You have reached your secondly limit.',
        errorType: 'RATE_LIMIT',
        policyName: 'SECONDLY',
        correlationId,
      },
    },
  ],
  'secondly-limit-of-search': [
    {
      status: 429,
      path: '/crm/v3/objects/contacts/search',
      body: {
        status: 'error',
        message: 'You have reached your secondly limit.',
        errorType: 'RATE_LIMIT',
        correlationId,
      },
      note: 'Search answers carry no rate-limit headers.',
    },
  ],
  'ten-secondly-limit': [
    {
      status: 429,
      headers: {
        'x-hubspot-ratelimit-max': '100',
        'x-hubspot-ratelimit-remaining': '0',
        'x-hubspot-ratelimit-interval-milliseconds': '10000',
      },
      body: {
        status: 'error',
        message: 'You have reached your ten_secondly_rolling limit.',
        errorType: 'RATE_LIMIT',
        policyName: 'TEN_SECONDLY_ROLLING',
        correlationId,
      },
    },
    { status: 429, body: 'Too Many Requests', note: 'From the edge, without a body of HubSpot.' },
  ],
  'contact-exists': [
    {
      status: 409,
      path: '/crm/v3/objects/contacts',
      body: {
        status: 'error',
        message: 'Contact already exists. Existing ID: 40812',
        category: 'CONFLICT',
        correlationId,
      },
    },
  ],
  locked: [
    {
      status: 423,
      path: '/crm/v3/objects/companies/batch/update',
      body: { status: 'error', message: 'Objects are locked by another change', category: 'LOCKED', correlationId },
    },
  ],
  'account-migrating': [
    {
      status: 477,
      headers: { 'retry-after': '10800' },
      body: { status: 'error', message: 'This account is being migrated', correlationId },
    },
  ],
  'missing-scopes': [
    {
      status: 403,
      body: {
        status: 'error',
        message: 'This app has not been granted all scopes that this call needs.',
        category: 'MISSING_SCOPES',
        correlationId,
        errors: [
          {
            message: 'One or more of the following scopes are needed.',
            context: { requiredGranularScopes: ['crm.objects.contacts.write'] },
          },
        ],
      },
    },
  ],
  'token-expired': [
    {
      status: 401,
      body: {
        status: 'error',
        message: 'The OAuth token expired 12 minutes ago',
        category: 'EXPIRED_AUTHENTICATION',
        correlationId,
      },
    },
  ],
  'unknown-property': [
    {
      status: 400,
      path: '/crm/v3/objects/contacts',
      body: {
        status: 'error',
        message: 'Property values were not valid: property "shoe_size" does not exist',
        category: 'VALIDATION_ERROR',
        correlationId,
        errors: [
          {
            message: 'Property "shoe_size" does not exist',
            code: 'PROPERTY_DOESNT_EXIST',
            context: { propertyName: ['shoe_size'] },
          },
        ],
      },
    },
  ],
  'invalid-data': [
    {
      status: 400,
      path: '/crm/v3/objects/contacts',
      body: {
        status: 'error',
        message: 'Property values were not valid',
        category: 'VALIDATION_ERROR',
        correlationId,
        errors: [
          {
            message: 'Email address ada@ is invalid',
            code: 'INVALID_EMAIL',
            context: { propertyName: ['email'] },
          },
        ],
      },
    },
  ],
  'url-too-long': [{ status: 414, method: 'GET', path: '/crm/v3/objects/contacts', body: 'URI Too Long' }],
  'gateway-busy': [
    { status: 502, body: '<html><head><title>502 Bad Gateway</title></head><body></body></html>' },
    { status: 504, body: { status: 'error', message: 'Timed out waiting for the service', correlationId } },
  ],
  'origin-down': [
    { status: 521, body: '<!DOCTYPE html><html><head><title>Web server is down</title></head></html>' },
    { status: 524, body: '<!DOCTYPE html><html><head><title>A timeout occurred</title></head></html>' },
  ],
  'origin-broken': [
    { status: 525, body: '<!DOCTYPE html><html><head><title>SSL handshake failed</title></head></html>' },
  ],
}
