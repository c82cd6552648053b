"""What is true: types, folds and arithmetic. No I/O, no clock (time is an argument), no asyncio, no third party but msgspec."""
