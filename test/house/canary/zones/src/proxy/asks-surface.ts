import { createApp } from '../surfaces/api/app.ts';

export const app = createApp;
