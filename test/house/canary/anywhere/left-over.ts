export function greet(name: string): void {
  console.log(name);
}
