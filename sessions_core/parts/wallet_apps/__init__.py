"""Opening the sign-in page inside a wallet's app on a phone, by a link or a QR code."""
