// Pictures that a person gives: from a drop (folders too), a file picker or the clipboard.

const PICTURE = /\.(jpe?g|png|bmp|tiff?|webp|gif|p[gp]m)$/i;

/** Whether a file claims to be a picture; the node looks inside. */
export function isPicture(file: File): boolean {
  return file.type.startsWith("image/") || PICTURE.test(file.name);
}

/** All files of a drop, those in dropped folders among them, by name. */
export async function dropped(data: DataTransfer): Promise<File[]> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const files = entries.length ? (await Promise.all(entries.map(within))).flat() : [...data.files];
  return files.filter(isPicture).sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}

async function within(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) return [await new Promise<File>((done, fail) => (entry as FileSystemFileEntry).file(done, fail))];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail)); // a hundred at a time
    if (!some.length) break;
    found.push(...some);
  }
  return (await Promise.all(found.map(within))).flat();
}
