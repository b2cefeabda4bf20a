import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// Stable file names: the built page is committed, and a rebuild of the same sources is the same bytes.
export default defineConfig({
  base: "./",
  plugins: [svelte()],
  server: { proxy: { "/api": "http://127.0.0.1:8123" } },
  build: {
    outDir: "../src/ronghe/console/static",
    emptyOutDir: true,
    modulePreload: false,
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    rollupOptions: {
      output: {
        entryFileNames: "assets/console.js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/[name][extname]",
      },
    },
  },
});
