export function productOf(index: number): object;
export function userOf(index: number): object;
export function searchOf(index: number, hits?: number): object;
export function productsOf(bytes: number): object[];
